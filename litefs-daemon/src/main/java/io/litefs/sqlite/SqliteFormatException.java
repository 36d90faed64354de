package io.litefs.sqlite;

import java.io.IOException;

/** The bytes are not what SQLite would accept; the message says which and why, in one sentence. */
public final class SqliteFormatException extends IOException {

  SqliteFormatException(String message) {
    super(message);
  }
}

package io.litefs.replication;

import java.io.IOException;

/** The other end sent bytes that are no replication stream. */
class StreamFormatException extends IOException {
  StreamFormatException(String message) {
    super(message);
  }

  StreamFormatException(String message, Throwable cause) {
    super(message, cause);
  }
}

package io.litefs.it.sqlite;

/** SQLite refused a statement; the message is SQLite's, with whatever its driver adds. */
public final class SqliteError extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public SqliteError(String message) {
    super(message);
  }
}

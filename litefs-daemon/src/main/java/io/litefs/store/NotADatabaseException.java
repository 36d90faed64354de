package io.litefs.store;

/** What was to be imported is no complete SQLite database. */
public class NotADatabaseException extends StoreException {
  public NotADatabaseException(String message) {
    super(message);
  }
}

package io.litefs.store;

/** What only this node has could not be kept, so the primary's database must wait. */
final class ArchiveException extends StoreException {

  private static final long serialVersionUID = 1L;

  ArchiveException(String message, Throwable cause) {
    super(message, cause);
  }
}

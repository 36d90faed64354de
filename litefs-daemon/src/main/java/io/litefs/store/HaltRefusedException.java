package io.litefs.store;

/** A call about the halt lock that is refused; nothing has changed. The message is one line. */
public final class HaltRefusedException extends StoreException {

  private static final long serialVersionUID = 1L;

  /** Why. */
  public enum Reason {
    NO_DATABASE,
    NOT_PRIMARY,

    /** Somebody else has the lock, or applications do not let go of the database. */
    BUSY,

    /** The caller does not have the lock, or no more. */
    NOT_HELD,

    /** The transaction does not follow the database's position. */
    DOES_NOT_FOLLOW
  }

  private final Reason reason;

  public HaltRefusedException(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  public Reason reason() {
    return reason;
  }
}

package io.litefs.replication;

import java.io.IOException;

/**
 * One database cannot be given away as a whole now, for a reason of its own; the others can. The
 * message is one line for an operator: what, why, what to do.
 */
public class WithheldException extends IOException {

  private static final long serialVersionUID = 1L;

  public WithheldException(String message) {
    super(message);
  }

  public WithheldException(String message, Throwable cause) {
    super(message, cause);
  }
}

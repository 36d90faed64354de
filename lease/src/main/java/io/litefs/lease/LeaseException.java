package io.litefs.lease;

import java.io.IOException;

/** The lease's keeper has answered, and the answer is no. Trying the same again is of no use. */
public class LeaseException extends IOException {
  private static final long serialVersionUID = 1L;

  public LeaseException(String message) {
    super(message);
  }
}

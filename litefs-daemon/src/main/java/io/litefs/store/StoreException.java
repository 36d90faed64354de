package io.litefs.store;

import java.io.IOException;

/**
 * The store cannot do what was asked. The message is one line for an operator: what, why, what to
 * do.
 */
public class StoreException extends IOException {
  public StoreException(String message) {
    super(message);
  }

  public StoreException(String message, Throwable cause) {
    super(message, cause);
  }
}

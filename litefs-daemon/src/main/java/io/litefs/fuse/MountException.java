package io.litefs.fuse;

/**
 * The filesystem cannot be mounted. The message is one line for the operator: what failed, why, and
 * what to do about it.
 */
public class MountException extends Exception {

  public MountException(String message) {
    super(message);
  }

  public MountException(String message, Throwable cause) {
    super(message, cause);
  }
}

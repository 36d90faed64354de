package io.litefs.posix;

import java.io.IOException;

/**
 * A system call failed, or a request of the mount is to fail, with an error number of {@link
 * Errno}.
 */
public class ErrnoException extends IOException {

  private final int errno;

  /**
   * @param errno positive, see {@link Errno}
   * @param message what was tried and on what; the name of the errno is put behind it
   */
  public ErrnoException(int errno, String message) {
    this(errno, message, null);
  }

  /** As above, with the exception that led to it. */
  public ErrnoException(int errno, String message, Throwable cause) {
    super(message + ": " + Errno.name(errno), cause);
    this.errno = errno;
  }

  public int errno() {
    return errno;
  }
}

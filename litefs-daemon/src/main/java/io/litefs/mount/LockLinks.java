package io.litefs.mount;

import io.litefs.posix.ErrnoException;

/** Where the lock files lie that {@code <db>-lock} in the mount leads to. Thread-safe. */
public interface LockLinks {

  /** The target of the link {@code name}. */
  String target(String name);

  /**
   * Makes sure that the lock files are there. May block for as long as mounting takes.
   *
   * @throws ErrnoException if they cannot be made available; it has been logged
   */
  void follow() throws ErrnoException;
}

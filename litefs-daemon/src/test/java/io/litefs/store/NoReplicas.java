package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;

/** Commits fail since no replica has them. */
final class NoReplicas implements CommitSync {
  boolean inSync = true;

  @Override
  public void before(String name) throws ErrnoException {
    if (!inSync) {
      throw new ErrnoException(Errno.EIO, "too few replicas are in sync");
    }
  }

  @Override
  public int missing(String name) {
    return 1;
  }

  @Override
  public void awaitIrrevocable(String name, Pos pos) {}

  @Override
  public boolean mayFail() {
    return true;
  }

  @Override
  public boolean await(String name, Pos pos) {
    return false;
  }
}

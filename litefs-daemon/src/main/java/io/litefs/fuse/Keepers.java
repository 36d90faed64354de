package io.litefs.fuse;

import io.litefs.posix.ErrnoException;
import java.nio.file.Path;

/** Threads with a descriptor table of their own, which alone open and lock files of the daemon's own mount. */
public final class Keepers implements AutoCloseable {

  private Keepers() {}

  /** Starts them: before the mount and before any socket exists. */
  public static Keepers start() {
    return new Keepers();
  }

  /** Opens a file of the mount; flags are those of {@link io.litefs.posix.PosixFile}. */
  public KeeperFile open(Path fileInMount, int flags, int mode) throws ErrnoException {
    throw new UnsupportedOperationException(fileInMount + " " + flags + " " + mode);
  }

  @Override
  public void close() {}
}

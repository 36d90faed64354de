package io.litefs.fuse;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;

/** A symbolic link of the mount. The kernel asks for its target each time it is followed. */
public interface MountedLink extends MountedFile {

  /**
   * Where it leads; called when it is followed or read. May block: who follows the link waits, and
   * nobody else.
   */
  String target() throws ErrnoException;

  @Override
  default OpenFile open(OpenRequest request) throws ErrnoException {
    throw new ErrnoException(Errno.EINVAL, "a link is not opened");
  }

  @Override
  default void truncate(long size, OpenRequest request) throws ErrnoException {
    throw new ErrnoException(Errno.EINVAL, "a link has no content");
  }
}

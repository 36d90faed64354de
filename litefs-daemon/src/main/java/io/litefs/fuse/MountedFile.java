package io.litefs.fuse;

import io.litefs.posix.ErrnoException;

/** A file of the mount by name. One instance may serve many requests at a time. */
public interface MountedFile {

  FileAttributes attributes() throws ErrnoException;

  OpenFile open(OpenRequest request) throws ErrnoException;

  /** truncate(2) without an open file. */
  void truncate(long size, OpenRequest request) throws ErrnoException;
}

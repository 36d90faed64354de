package io.litefs.store;

import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;

/** The calls that get a log's files onto the disk: tests let them fail. Any thread. */
class LogDisk {

  /** The file's content and size are on disk when this returns. */
  void datasync(PosixFile file) throws ErrnoException {
    file.fdatasync();
  }

  /** All that is on the filesystem of this file is on disk when this returns, names included. */
  void syncFilesystem(PosixFile file) throws ErrnoException {
    file.syncfs();
  }
}

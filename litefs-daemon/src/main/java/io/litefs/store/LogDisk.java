package io.litefs.store;

import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The calls that get a log's files onto the disk and off it: tests let them fail, or let something
 * else happen before them. Any thread.
 */
class LogDisk {

  /** The file's content and size are on disk when this returns. */
  void datasync(PosixFile file) throws ErrnoException {
    file.fdatasync();
  }

  /** All that is on the filesystem of this file is on disk when this returns, names included. */
  void syncFilesystem(PosixFile file) throws ErrnoException {
    file.syncfs();
  }

  /** Removes a file of the log, if it is there. */
  void remove(Path file) throws IOException {
    Files.deleteIfExists(file);
  }
}

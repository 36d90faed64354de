package io.litefs.store;

import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A file of the data directory behind a file of the mount, shared by its open handles. Once its
 * name is gone it stays usable for those who hold it, as on any filesystem, but is no longer part
 * of its database.
 */
public final class BackingFile {

  private static final int MODE = 0644;

  private final Path path;
  private volatile PosixFile file;
  private int users = 1;
  private volatile long modifiedMillis;

  private BackingFile(Path path, PosixFile file, long modifiedMillis) {
    this.path = path;
    this.file = file;
    this.modifiedMillis = modifiedMillis;
  }

  /** Opens the file; with {@code create}, makes it first if it does not exist. */
  static BackingFile open(Path path, boolean create) throws ErrnoException {
    int flags = PosixFile.O_RDWR | (create ? PosixFile.O_CREAT : 0);
    PosixFile file = PosixFile.open(path, flags, MODE);
    long modified;
    try {
      modified = Files.getLastModifiedTime(path).toMillis();
    } catch (IOException e) {
      modified = System.currentTimeMillis();
    }
    return new BackingFile(path, file, modified);
  }

  /** The descriptor: reads may go there at any time, writes only through {@link Database}. */
  public PosixFile file() {
    return file;
  }

  Path path() {
    return path;
  }

  public long size() throws ErrnoException {
    return file.size();
  }

  public long modifiedMillis() {
    return modifiedMillis;
  }

  /** Puts another descriptor in the place of the present one, which is returned still open. */
  PosixFile swap(PosixFile replacement) {
    PosixFile before = file;
    file = replacement;
    touch();
    return before;
  }

  void touch() {
    modifiedMillis = System.currentTimeMillis();
  }

  /** One more holder. */
  synchronized BackingFile retain() {
    if (users == 0) {
      throw new IllegalStateException(path + " is closed");
    }
    users++;
    return this;
  }

  /** One holder less; the last one closes the descriptor. */
  public synchronized void release() {
    if (--users == 0) {
      file.close();
    }
  }
}

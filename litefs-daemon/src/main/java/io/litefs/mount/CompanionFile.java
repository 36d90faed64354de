package io.litefs.mount;

import io.litefs.fuse.FileAttributes;
import io.litefs.fuse.MountedFile;
import io.litefs.fuse.OpenFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.store.BackingFile;
import io.litefs.store.Database;
import io.litefs.store.FileKind;

/** A file that SQLite makes beside a database. */
abstract class CompanionFile implements MountedFile {

  static final int MODE = 0666;

  final Database database;
  private final FileKind kind;

  CompanionFile(Database database, FileKind kind) {
    this.database = database;
    this.kind = kind;
  }

  abstract OpenFile handle(BackingFile file);

  abstract void truncate(BackingFile file, long size) throws ErrnoException;

  @Override
  public FileAttributes attributes() throws ErrnoException {
    BackingFile file = acquire(false);
    try {
      return new FileAttributes(file.size(), MODE, file.modifiedMillis());
    } finally {
      file.release();
    }
  }

  @Override
  public OpenFile open(OpenRequest request) throws ErrnoException {
    OpenFile handle = handle(acquire(false));
    if (request.truncates() && request.writable()) {
      handle.truncate(0);
    }
    return handle;
  }

  OpenFile create(OpenRequest request) throws ErrnoException {
    return handle(acquire(true));
  }

  @Override
  public void truncate(long size, OpenRequest request) throws ErrnoException {
    BackingFile file = acquire(false);
    try {
      truncate(file, size);
    } finally {
      file.release();
    }
  }

  private BackingFile acquire(boolean create) throws ErrnoException {
    BackingFile file = database.acquire(kind, create);
    if (file == null) {
      throw new ErrnoException(Errno.ENOENT, database.name() + ": " + kind);
    }
    return file;
  }

  /** A handle whose truncation is the file's. */
  abstract class Handle extends BackedHandle {

    Handle(BackingFile file) {
      super(file);
    }

    @Override
    int mode() {
      return MODE;
    }

    @Override
    public void truncate(long size) throws ErrnoException {
      CompanionFile.this.truncate(file, size);
    }
  }
}

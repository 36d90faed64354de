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
import io.litefs.store.Store;
import java.nio.ByteBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** {@code <db>}: the database file. */
final class DatabaseFile implements MountedFile {

  private static final Logger log = LoggerFactory.getLogger(DatabaseFile.class);
  private static final int WRITABLE = 0666;
  private static final int READ_ONLY = 0444;

  private final Store store;
  private final Database database;

  DatabaseFile(Store store, Database database) {
    this.store = store;
    this.database = database;
  }

  private int mode() {
    return database.isWritable() ? WRITABLE : READ_ONLY;
  }

  @Override
  public FileAttributes attributes() throws ErrnoException {
    BackingFile file = acquire(false);
    try {
      return new FileAttributes(file.size(), mode(), file.modifiedMillis());
    } finally {
      file.release();
    }
  }

  /**
   * A node that can never be primary refuses to open for writing, which SQLite turns into a
   * read-only connection.
   */
  @Override
  public OpenFile open(OpenRequest request) throws ErrnoException {
    if (request.writable()
        && !database.isWritable()
        && !store.isCandidate()
        && !DaemonThreads.contains(request.pid())) {
      throw new ErrnoException(Errno.EROFS, database.name() + ": this node is a replica");
    }
    Handle handle = new Handle(acquire(false), request.writable());
    if (request.truncates() && request.writable()) {
      handle.truncate(0);
    }
    return handle;
  }

  OpenFile create(OpenRequest request) throws ErrnoException {
    return new Handle(acquire(true), request.writable());
  }

  private BackingFile acquire(boolean create) throws ErrnoException {
    BackingFile file = database.acquire(FileKind.DATABASE, create);
    if (file == null) {
      throw new ErrnoException(Errno.ENOENT, database.name());
    }
    return file;
  }

  @Override
  public void truncate(long size, OpenRequest request) throws ErrnoException {
    BackingFile file = acquire(false);
    try {
      database.truncateDatabase(file, size);
    } finally {
      file.release();
    }
  }

  private final class Handle extends BackedHandle {
    private final boolean writable;
    private volatile boolean wrote;

    Handle(BackingFile file, boolean writable) {
      super(file);
      this.writable = writable;
    }

    /**
     * The kernel truncates by name what was opened with O_TRUNC, so an arrival may have no write of
     * this handle's.
     */
    private boolean mayHaveWritten() {
      return database.isWritable() && (wrote || writable && database.isArriving());
    }

    @Override
    int mode() {
      return DatabaseFile.this.mode();
    }

    @Override
    public void write(ByteBuffer from, long offset) throws ErrnoException {
      database.writeDatabase(file, from, offset);
      wrote = true;
    }

    @Override
    public void truncate(long size) throws ErrnoException {
      database.truncateDatabase(file, size);
      wrote = true;
    }

    @Override
    public void fsync(boolean dataOnly) throws ErrnoException {
      database.syncDatabase(file);
    }

    @Override
    public void flush(int pid) throws ErrnoException {
      if (mayHaveWritten()) {
        database.closedAfterWriting(file, false);
      }
    }

    @Override
    public void release() {
      try {
        if (mayHaveWritten()) {
          database.closedAfterWriting(file, true);
        }
      } catch (ErrnoException e) {
        log.debug("nobody waits for this error any more: {}", e.getMessage());
      } finally {
        super.release();
      }
    }
  }
}

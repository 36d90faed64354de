package io.litefs.mount;

import io.litefs.fuse.FileAttributes;
import io.litefs.fuse.MountedFile;
import io.litefs.fuse.OpenFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.store.Database;
import io.litefs.store.Store;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * {@code <db>-mj...}: the names of the journals of a transaction over several attached databases. A
 * plain file: each of the databases commits on its own when its journal goes.
 *
 * <p>Source: "File Locking And Concurrency", section 5, "Super-journal".
 */
final class SuperJournalFile implements MountedFile {

  private static final int MODE = 0644;

  private final Store store;
  private final Path path;

  private SuperJournalFile(Store store, Path path) {
    this.store = store;
    this.path = path;
  }

  static SuperJournalFile find(Store store, Database database, String name) {
    Path path = database.superJournal(name);
    return Files.exists(path) ? new SuperJournalFile(store, path) : null;
  }

  static OpenFile create(Store store, Database database, String name, OpenRequest request)
      throws ErrnoException {
    store.requireWritable(name);
    Path path = database.superJournal(name);
    PosixFile file = PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT, MODE);
    return new SuperJournalFile(store, path).new Handle(file);
  }

  static void unlink(Store store, Database database, String name) throws ErrnoException {
    store.requireWritable(name);
    try {
      Files.deleteIfExists(database.superJournal(name));
    } catch (IOException e) {
      throw new ErrnoException(Errno.EIO, "unlink " + name + ": " + e.getMessage());
    }
  }

  @Override
  public FileAttributes attributes() throws ErrnoException {
    try (PosixFile file = PosixFile.open(path, PosixFile.O_RDONLY, MODE)) {
      return attributesOf(file);
    }
  }

  private static FileAttributes attributesOf(PosixFile file) throws ErrnoException {
    return new FileAttributes(file.size(), MODE, System.currentTimeMillis());
  }

  @Override
  public OpenFile open(OpenRequest request) throws ErrnoException {
    return new Handle(PosixFile.open(path, PosixFile.O_RDWR, MODE));
  }

  @Override
  public void truncate(long size, OpenRequest request) throws ErrnoException {
    store.requireWritable(path.getFileName().toString());
    try (PosixFile file = PosixFile.open(path, PosixFile.O_RDWR, MODE)) {
      file.truncate(size);
    }
  }

  private final class Handle implements OpenFile {
    private final PosixFile file;

    Handle(PosixFile file) {
      this.file = file;
    }

    @Override
    public CachePolicy cachePolicy() {
      return CachePolicy.DIRECT;
    }

    @Override
    public FileAttributes attributes() throws ErrnoException {
      return attributesOf(file);
    }

    @Override
    public void read(ByteBuffer into, long offset) throws ErrnoException {
      file.preadMost(into, offset);
    }

    @Override
    public void write(ByteBuffer from, long offset) throws ErrnoException {
      store.requireWritable(path.getFileName().toString());
      file.pwrite(from, offset);
    }

    @Override
    public void truncate(long size) throws ErrnoException {
      store.requireWritable(path.getFileName().toString());
      file.truncate(size);
    }

    @Override
    public void fsync(boolean dataOnly) throws ErrnoException {
      file.fsync();
    }

    @Override
    public void flush(int pid) {
      // Nothing is held back.
    }

    @Override
    public void release() {
      file.close();
    }
  }
}

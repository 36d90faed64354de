package io.litefs.store;

import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * The directory {@code dbs/<name>/} of one database and the files in it that exist now. Changed
 * under the database's lock, looked up by any thread.
 */
final class DatabaseFiles {

  private static final String ASIDE = "database.previous";

  private final Path dir;
  private final AtomicReferenceArray<BackingFile> current =
      new AtomicReferenceArray<>(FileKind.values().length);

  DatabaseFiles(Path dir) {
    this.dir = dir;
  }

  Path dir() {
    return dir;
  }

  Path path(FileKind kind) {
    return dir.resolve(kind.fileName());
  }

  BackingFile get(FileKind kind) {
    return current.get(kind.ordinal());
  }

  BackingFile create(FileKind kind) throws ErrnoException {
    BackingFile file = BackingFile.open(path(kind), true);
    current.set(kind.ordinal(), file);
    return file;
  }

  /** Opens the file if it is there. */
  void openIfPresent(FileKind kind) throws ErrnoException {
    if (get(kind) == null && Files.exists(path(kind))) {
      current.set(kind.ordinal(), BackingFile.open(path(kind), false));
    }
  }

  /** Removes the name; who has the file open keeps it. If this fails, the file is still there. */
  void remove(FileKind kind) throws IOException {
    Files.deleteIfExists(path(kind));
    BackingFile file = current.getAndSet(kind.ordinal(), null);
    if (file != null) {
      file.release();
    }
  }

  /** Moves a file of another database here, under its open handles. */
  void adopt(FileKind kind, DatabaseFiles source) throws IOException {
    Files.move(source.path(kind), path(kind), StandardCopyOption.ATOMIC_MOVE);
    current.set(kind.ordinal(), source.current.getAndSet(kind.ordinal(), null));
  }

  /** Keeps the content of the database under another name and puts an empty file in its place. */
  void setAside(BackingFile database) throws IOException {
    Files.move(path(FileKind.DATABASE), dir.resolve(ASIDE), StandardCopyOption.ATOMIC_MOVE);
    PosixFile empty =
        PosixFile.open(
            path(FileKind.DATABASE), PosixFile.O_RDWR | PosixFile.O_CREAT | PosixFile.O_EXCL, 0644);
    database.swap(empty).close();
  }

  /** Undoes {@link #setAside}. */
  void bringBack(BackingFile database) throws IOException {
    Files.move(dir.resolve(ASIDE), path(FileKind.DATABASE), StandardCopyOption.ATOMIC_MOVE);
    database.swap(PosixFile.open(path(FileKind.DATABASE), PosixFile.O_RDWR, 0644)).close();
  }

  /**
   * Puts a complete database, on the same filesystem, in the place of the present one, under its
   * open handles.
   */
  void replaceDatabase(Path complete) throws IOException {
    Files.move(complete, path(FileKind.DATABASE), StandardCopyOption.ATOMIC_MOVE);
    BackingFile file = get(FileKind.DATABASE);
    if (file == null) {
      openIfPresent(FileKind.DATABASE);
    } else {
      file.swap(PosixFile.open(path(FileKind.DATABASE), PosixFile.O_RDWR, 0644)).close();
    }
  }

  void forgetAside() throws IOException {
    Files.deleteIfExists(dir.resolve(ASIDE));
  }

  /**
   * At start: a crash during an arrival leaves the previous content aside; it is the one that
   * counts.
   */
  void restoreAside() throws IOException {
    if (Files.exists(dir.resolve(ASIDE))) {
      Files.move(dir.resolve(ASIDE), path(FileKind.DATABASE), StandardCopyOption.REPLACE_EXISTING);
    }
  }

  void close() {
    for (FileKind kind : FileKind.values()) {
      BackingFile file = current.getAndSet(kind.ordinal(), null);
      if (file != null) {
        file.release();
      }
    }
  }
}

package io.litefs.store;

import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The former content of pages that are being overwritten with neither journal nor WAL, so that the
 * database can be brought back if what is written turns out to be none. Guarded by the database's
 * lock.
 */
final class UndoPages {

  private final Path path;
  private final PageTable offsets = new PageTable();
  private PosixFile file;
  private long end;

  UndoPages(Path dir) {
    path = dir.resolve("undo.tmp");
  }

  boolean has(long pgno) {
    return offsets.get(pgno) != 0;
  }

  boolean isEmpty() {
    return offsets.isEmpty();
  }

  void save(long pgno, ByteBuffer page) throws ErrnoException {
    if (file == null) {
      file = PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT | PosixFile.O_TRUNC, 0600);
      end = 1; // 0 would say "not saved" in the table
    }
    int length = page.remaining();
    file.pwrite(page, end);
    offsets.put(pgno, end);
    end += length;
  }

  /** Writes every page back. */
  void restore(PosixFile database, int pageSize) throws ErrnoException {
    ByteBuffer page = ByteBuffer.allocateDirect(pageSize);
    for (long pgno = offsets.next(1); pgno != 0; pgno = offsets.next(pgno + 1)) {
      file.preadFully(page.clear(), offsets.get(pgno));
      database.pwrite(page.flip(), (pgno - 1) * pageSize);
    }
  }

  void clear() throws IOException {
    offsets.clear();
    if (file != null) {
      file.close();
      file = null;
      Files.deleteIfExists(path);
    }
  }
}

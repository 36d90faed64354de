package io.litefs.store;

import io.litefs.ltx.PageSize;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/**
 * The former content of pages that are being overwritten with neither journal nor WAL, so that the
 * database can be brought back: if what is written turns out to be none, or if the daemon is killed
 * before it is a transaction. Guarded by the database's lock.
 *
 * <pre>
 *   file:    0  magic "LFUN", 4 page size, 8 size of the database in pages before; then records
 *   record:  0  page number, 8 CRC-32C of page number and page, 16 the page
 * </pre>
 */
final class UndoPages {

  private static final String NAME = "undo";
  private static final int MAGIC = 0x4c46554e;
  private static final int HEADER_BYTES = 16;
  private static final int RECORD_HEADER_BYTES = 16;

  private final Path path;
  private final PageTable offsets = new PageTable();
  private PosixFile file;
  private long end;
  private ByteBuffer record = ByteBuffer.allocateDirect(HEADER_BYTES);

  UndoPages(Path dir) {
    path = dir.resolve(NAME);
  }

  /** Whether anything is kept, be it only the database's size. */
  boolean isThere() {
    return file != null;
  }

  boolean has(long pgno) {
    return offsets.get(pgno) != 0;
  }

  /**
   * Begins to keep pages of a database of {@code pageCount} pages, if it has not begun yet. To be
   * called before anything of the database changes, its size included.
   */
  void begin(int pageSize, long pageCount) throws ErrnoException {
    if (file == null) {
      file = PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT | PosixFile.O_TRUNC, 0600);
      record = ByteBuffer.allocateDirect(RECORD_HEADER_BYTES + pageSize);
      record.putInt(MAGIC).putInt(pageSize).putLong(pageCount).flip();
      file.pwrite(record, 0);
      end = HEADER_BYTES;
    }
  }

  void save(long pgno, ByteBuffer page) throws ErrnoException {
    record.clear();
    record.putLong(pgno).putLong(0).put(page).flip();
    record.putLong(8, crc(record));
    int length = record.remaining();
    file.pwrite(record, end);
    offsets.put(pgno, end + RECORD_HEADER_BYTES);
    end += length;
  }

  private static long crc(ByteBuffer record) {
    CRC32C crc = new CRC32C();
    crc.update(record.duplicate().position(0).limit(Long.BYTES));
    crc.update(record.duplicate().position(RECORD_HEADER_BYTES));
    return crc.getValue();
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

  /**
   * At start: writes back what a killed daemon has left, and gives the database its former size.
   * The first record that is not whole ends it: the page of that record was not overwritten.
   *
   * @return whether there was something
   */
  static boolean restoreLeftover(Path dir, PosixFile database) throws IOException {
    Path path = dir.resolve(NAME);
    if (!Files.exists(path)) {
      return false;
    }
    boolean restored = false;
    try (PosixFile file = PosixFile.open(path, PosixFile.O_RDONLY, 0)) {
      ByteBuffer header = ByteBuffer.allocateDirect(HEADER_BYTES);
      file.preadMost(header, 0);
      int pageSize = header.flip().limit() == HEADER_BYTES ? header.getInt(4) : 0;
      if (pageSize > 0 && header.getInt(0) == MAGIC && PageSize.isValid(pageSize)) {
        restore(file, database, pageSize);
        database.truncate(header.getLong(8) * pageSize);
        restored = true;
      }
    }
    return restored;
  }

  /** Removes what {@link #restoreLeftover} has restored. */
  static void forgetLeftover(Path dir) throws IOException {
    Files.deleteIfExists(dir.resolve(NAME));
  }

  private static void restore(PosixFile file, PosixFile database, int pageSize)
      throws ErrnoException {
    ByteBuffer record = ByteBuffer.allocateDirect(RECORD_HEADER_BYTES + pageSize);
    for (long at = HEADER_BYTES; ; at += record.capacity()) {
      file.preadMost(record.clear(), at);
      long pgno = record.flip().limit() == record.capacity() ? record.getLong(0) : 0;
      if (pgno <= 0 || record.getLong(8) != crc(record)) {
        return;
      }
      database.pwrite(record.position(RECORD_HEADER_BYTES), (pgno - 1) * pageSize);
    }
  }
}

package io.litefs.store;

import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What a connection without a WAL compares when it begins to read, to know whether its page cache
 * still holds: bytes 24 to 39 of page 1 ({@code dbFileVers} in SQLite's {@code pager.c}), which are
 * the change counter, the size in pages, and the list of free pages.
 *
 * @param changeAndSize bytes 24 to 31
 * @param freePages bytes 32 to 39
 */
record FileVersion(long changeAndSize, long freePages) {

  private static final int OFFSET = 24;
  private static final int BYTES = 2 * Long.BYTES;

  /** Of a page 1 that begins at the buffer's index 0. */
  static FileVersion of(ByteBuffer page) {
    ByteBuffer in = page.duplicate().order(ByteOrder.BIG_ENDIAN);
    return new FileVersion(in.getLong(OFFSET), in.getLong(OFFSET + Long.BYTES));
  }

  /** Of a database file, whatever its WAL has; zeros if it is too short. */
  static FileVersion of(BackingFile database) throws ErrnoException {
    ByteBuffer in = DirectBuffers.take(OFFSET + BYTES);
    try {
      if (database.file().preadMost(in, 0) < OFFSET + BYTES) {
        return new FileVersion(0, 0);
      }
      return of(in);
    } finally {
      DirectBuffers.give(in);
    }
  }
}

package io.litefs.store;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.Arrays;

/**
 * A sparse table from page number to a non-zero long, outside the Java heap: 8 bytes per page in
 * chunks of 1024 pages.
 *
 * <p>Serves as the set of page checksums of a database, as the set of pages that a transaction
 * touched, and as the map from page to WAL frame. A table that is cleared keeps its chunks for the
 * next transaction. Not thread-safe: its owner's lock guards it.
 */
final class PageTable {

  private static final int CHUNK_BITS = 10;
  private static final int CHUNK_PAGES = 1 << CHUNK_BITS;
  private static final int CHUNK_BYTES = CHUNK_PAGES * Long.BYTES;
  private static final int MAX_SPARE = 64;
  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(CHUNK_BYTES);

  private ByteBuffer[] chunks = new ByteBuffer[16];
  private final ArrayDeque<ByteBuffer> spare = new ArrayDeque<>();

  /** Bounds of the chunks in use; lowest > highest when the table is empty. */
  private int lowest = Integer.MAX_VALUE;

  private int highest = -1;

  /** The value of {@code pgno} (1 ... 2^32-2), or 0. */
  long get(long pgno) {
    int index = (int) (pgno >>> CHUNK_BITS);
    if (index > highest || chunks[index] == null) {
      return 0;
    }
    return chunks[index].getLong(slot(pgno));
  }

  void put(long pgno, long value) {
    int index = (int) (pgno >>> CHUNK_BITS);
    if (index >= chunks.length) {
      chunks = Arrays.copyOf(chunks, Math.max(index + 1, chunks.length * 2));
    }
    ByteBuffer chunk = chunks[index];
    if (chunk == null) {
      chunk = spare.poll();
      if (chunk == null) {
        chunk = ByteBuffer.allocateDirect(CHUNK_BYTES).order(ByteOrder.nativeOrder());
      }
      chunks[index] = chunk;
    }
    lowest = Math.min(lowest, index);
    highest = Math.max(highest, index);
    chunk.putLong(slot(pgno), value);
  }

  /** The smallest page number at or above {@code from} that has a value, or 0. */
  long next(long from) {
    for (int index = Math.max(lowest, (int) (from >>> CHUNK_BITS)); index <= highest; index++) {
      ByteBuffer chunk = chunks[index];
      if (chunk == null) {
        continue;
      }
      long first = (long) index << CHUNK_BITS;
      for (int i = (int) Math.max(0, from - first); i < CHUNK_PAGES; i++) {
        if (chunk.getLong(i * Long.BYTES) != 0) {
          return first + i;
        }
      }
    }
    return 0;
  }

  boolean isEmpty() {
    return next(1) == 0;
  }

  void clear() {
    for (int index = lowest; index <= highest; index++) {
      recycle(index);
    }
    lowest = Integer.MAX_VALUE;
    highest = -1;
  }

  /** Forgets every page above {@code last}. */
  void truncate(long last) {
    int boundary = (int) (last >>> CHUNK_BITS);
    for (int index = highest; index > boundary; index--) {
      recycle(index);
    }
    highest = Math.min(highest, boundary);
    if (boundary <= highest && chunks[boundary] != null) {
      int kept = (slot(last) / Long.BYTES) + 1;
      for (int i = kept; i < CHUNK_PAGES; i++) {
        chunks[boundary].putLong(i * Long.BYTES, 0);
      }
    }
  }

  /** Copies every value of {@code other} into this table. */
  void putAll(PageTable other) {
    for (long pgno = other.next(1); pgno != 0; pgno = other.next(pgno + 1)) {
      put(pgno, other.get(pgno));
    }
  }

  private void recycle(int index) {
    ByteBuffer chunk = chunks[index];
    if (chunk != null) {
      chunks[index] = null;
      if (spare.size() < MAX_SPARE) {
        chunk.put(0, ZEROS, 0, CHUNK_BYTES);
        spare.push(chunk);
      }
    }
  }

  private static int slot(long pgno) {
    return (int) (pgno & (CHUNK_PAGES - 1)) * Long.BYTES;
  }
}

package io.litefs.store;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.BitSet;

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
  static final int CHUNK_BYTES = CHUNK_PAGES * Long.BYTES;
  private static final int MAX_SPARE = 64;
  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(CHUNK_BYTES);

  private ByteBuffer[] chunks = new ByteBuffer[16];
  private final ArrayDeque<ByteBuffer> spare = new ArrayDeque<>();

  /** Bounds of the chunks in use; lowest > highest when the table is empty. */
  private int lowest = Integer.MAX_VALUE;

  private int highest = -1;

  /** Chunks that were changed since {@link #takeChunk}. */
  private final BitSet dirty = new BitSet();

  /** A table in which the pages 1 to {@code count} have a value. */
  static PageTable range(long count) {
    PageTable range = new PageTable();
    for (long pgno = 1; pgno <= count; pgno++) {
      range.put(pgno, 1);
    }
    return range;
  }

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
        chunk = ByteBuffer.allocateDirect(CHUNK_BYTES);
      }
      chunks[index] = chunk;
    }
    lowest = Math.min(lowest, index);
    highest = Math.max(highest, index);
    chunk.putLong(slot(pgno), value);
    dirty.set(index);
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
      dirty.set(boundary);
    }
  }

  /** Copies every value of {@code other} into this table. */
  void putAll(PageTable other) {
    for (long pgno = other.next(1); pgno != 0; pgno = other.next(pgno + 1)) {
      put(pgno, other.get(pgno));
    }
  }

  /** The first chunk at or above {@code from} that was changed since it was last taken; or -1. */
  int nextDirty(int from) {
    return dirty.nextSetBit(from);
  }

  /** Copies a chunk's {@link #CHUNK_BYTES} and counts it as unchanged. */
  void takeChunk(int index, ByteBuffer into) {
    into.put(chunks[index].duplicate().clear());
    dirty.clear(index);
  }

  /** Takes every {@link #takeChunk} back: what was taken got nowhere. */
  void markAllDirty() {
    for (int index = Math.max(0, lowest); index <= highest; index++) {
      if (chunks[index] != null) {
        dirty.set(index);
      }
    }
  }

  /**
   * Takes some chunks over, which then count as unchanged.
   *
   * @param index of the first one
   * @param memory a direct buffer of a multiple of {@link #CHUNK_BYTES} that nobody else uses from
   *     now on. Of many chunks at once: each allocation costs as much as reading a chunk
   */
  void adoptChunks(int index, ByteBuffer memory) {
    int count = memory.capacity() / CHUNK_BYTES;
    if (index + count > chunks.length) {
      chunks = Arrays.copyOf(chunks, Math.max(index + count, chunks.length * 2));
    }
    for (int i = 0; i < count; i++) {
      chunks[index + i] = memory.slice(i * CHUNK_BYTES, CHUNK_BYTES);
    }
    dirty.clear(index, index + count);
    lowest = Math.min(lowest, index);
    highest = Math.max(highest, index + count - 1);
  }

  /** How many chunks hold the pages 1 to {@code pageCount}. */
  static int chunksOf(long pageCount) {
    return (int) (pageCount >>> CHUNK_BITS) + 1;
  }

  /** Exclusive or of the values of pages 1 to {@code last}. */
  long xor(long last) {
    long sum = 0;
    // A start does this before anything is compiled: an interpreted loop over an array is several
    // times as fast as one with calls.
    long[] values = new long[CHUNK_PAGES];
    for (int index = Math.max(0, lowest); index <= highest; index++) {
      ByteBuffer chunk = chunks[index];
      long first = (long) index << CHUNK_BITS;
      if (chunk != null && first <= last) {
        int count = (int) Math.min(CHUNK_PAGES, last - first + 1);
        chunk.asLongBuffer().get(0, values, 0, count);
        for (int i = 0; i < count; i++) {
          sum ^= values[i];
        }
      }
    }
    return sum;
  }

  private void recycle(int index) {
    ByteBuffer chunk = chunks[index];
    dirty.clear(index);
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

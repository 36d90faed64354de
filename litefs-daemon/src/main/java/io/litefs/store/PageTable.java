package io.litefs.store;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;

/**
 * A sparse table from page number to a non-zero long, outside the Java heap: 8 bytes per page in
 * chunks of 1024 pages.
 *
 * <p>Serves as the set of page checksums of a database, as the set of pages that a transaction
 * touched, and as the map from page to WAL frame. Not thread-safe: its owner's lock guards it.
 *
 * <p>There are several tables per database, and most databases are small: a chunk of which only the
 * beginning is used has only that in memory. A table that is cleared keeps one such beginning for
 * the next transaction; whole chunks go to whichever table needs them next ({@link DirectBuffers}).
 */
final class PageTable {

  private static final int CHUNK_BITS = 10;
  private static final int CHUNK_PAGES = 1 << CHUNK_BITS;
  static final int CHUNK_BYTES = CHUNK_PAGES * Long.BYTES;

  /** What there is of a chunk of which no more is used: enough for 128 pages. */
  static final int BEGINNING_BYTES = 1024;

  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(CHUNK_BYTES);

  /** Each of {@link #CHUNK_BYTES} or {@link #BEGINNING_BYTES}; null where there is no value. */
  private ByteBuffer[] chunks = new ByteBuffer[1];

  /** Zeros, of {@link #BEGINNING_BYTES}; may be null. */
  private ByteBuffer spare;

  /** Bounds of the chunks in use; lowest > highest when the table is empty. */
  private int lowest = Integer.MAX_VALUE;

  private int highest = -1;

  /** Chunks that were changed since {@link #takeChunk}. */
  private final BitSet dirty = new BitSet();

  /** Chunks that are slices of a larger memory, which nobody else can use. */
  private final BitSet adopted = new BitSet();

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
    int slot = slot(pgno);
    return slot < chunks[index].capacity() ? chunks[index].getLong(slot) : 0;
  }

  void put(long pgno, long value) {
    int index = (int) (pgno >>> CHUNK_BITS);
    if (index >= chunks.length) {
      chunks = Arrays.copyOf(chunks, Math.max(index + 1, chunks.length * 2));
    }
    ByteBuffer chunk = chunks[index];
    int slot = slot(pgno);
    if (chunk == null || slot >= chunk.capacity()) {
      chunk = slot < BEGINNING_BYTES ? beginning() : whole(chunk);
      chunks[index] = chunk;
    }
    lowest = Math.min(lowest, index);
    highest = Math.max(highest, index);
    chunk.putLong(slot, value);
    dirty.set(index);
  }

  private ByteBuffer beginning() {
    ByteBuffer beginning = spare == null ? ByteBuffer.allocateDirect(BEGINNING_BYTES) : spare;
    spare = null;
    return beginning;
  }

  /** A whole chunk in the place of a beginning, or of none. */
  private ByteBuffer whole(ByteBuffer beginning) {
    ByteBuffer whole = DirectBuffers.take(CHUNK_BYTES);
    whole.put(0, ZEROS, 0, CHUNK_BYTES);
    if (beginning != null) {
      whole.put(0, beginning, 0, BEGINNING_BYTES);
      keep(beginning);
    }
    return whole;
  }

  private void keep(ByteBuffer beginning) {
    if (spare == null) {
      spare = beginning.put(0, ZEROS, 0, BEGINNING_BYTES);
    }
  }

  /** The smallest page number at or above {@code from} that has a value, or 0. */
  long next(long from) {
    for (int index = Math.max(lowest, (int) (from >>> CHUNK_BITS)); index <= highest; index++) {
      ByteBuffer chunk = chunks[index];
      if (chunk == null) {
        continue;
      }
      long first = (long) index << CHUNK_BITS;
      int count = chunk.capacity() / Long.BYTES;
      for (int i = (int) Math.max(0, from - first); i < count; i++) {
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
      for (int i = kept; i < chunks[boundary].capacity() / Long.BYTES; i++) {
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
    ByteBuffer chunk = chunks[index];
    into.put(chunk.duplicate().clear());
    into.put(ZEROS.duplicate().limit(CHUNK_BYTES - chunk.capacity()));
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
   * @param memory a direct buffer that nobody else uses from now on: {@link #BEGINNING_BYTES} of
   *     one chunk, or a multiple of {@link #CHUNK_BYTES}. Of many chunks at once: each allocation
   *     costs as much as reading a chunk
   */
  void adoptChunks(int index, ByteBuffer memory) {
    int size = Math.min(CHUNK_BYTES, memory.capacity());
    int count = memory.capacity() / size;
    if (index + count > chunks.length) {
      chunks = Arrays.copyOf(chunks, Math.max(index + count, chunks.length * 2));
    }
    for (int i = 0; i < count; i++) {
      chunks[index + i] = memory.slice(i * size, size);
    }
    if (size == CHUNK_BYTES) {
      adopted.set(index, index + count);
    }
    dirty.clear(index, index + count);
    lowest = Math.min(lowest, index);
    highest = Math.max(highest, index + count - 1);
  }

  /** How many chunks hold the pages 1 to {@code pageCount}. */
  static int chunksOf(long pageCount) {
    return (int) (pageCount >>> CHUNK_BITS) + 1;
  }

  /** What {@link #adoptChunks} wants for the next {@code chunks} of so many pages' chunks. */
  static int bytesOf(int chunks, long pageCount) {
    return pageCount < BEGINNING_BYTES / Long.BYTES ? BEGINNING_BYTES : chunks * CHUNK_BYTES;
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
        int count = (int) Math.min(chunk.capacity() / Long.BYTES, last - first + 1);
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
      if (chunk.capacity() == BEGINNING_BYTES) {
        keep(chunk);
      } else if (!adopted.get(index)) {
        DirectBuffers.give(chunk);
      }
      adopted.clear(index);
    }
  }

  private static int slot(long pgno) {
    return (int) (pgno & (CHUNK_PAGES - 1)) * Long.BYTES;
  }
}

package io.litefs.store;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.List;
import java.util.stream.Stream;

/**
 * Direct memory that is lent for the time of one piece of work. There may be very many databases,
 * of which few are being written to at a time: what a database needs only during a transaction must
 * not be its own. And direct memory is too slow to allocate for each transaction, and is free again
 * only after a garbage collection.
 *
 * <p>A buffer belongs to one user from {@link #take} to {@link #give}, which nobody owes: one that
 * is not given back is garbage like any other. Of each size at most {@link #KEPT_BYTES} wait for
 * the next user.
 *
 * <p>Thread-safe. One pool for the whole process.
 */
final class DirectBuffers {

  private static final int SMALLEST_BITS = 12;
  private static final int LARGEST_BITS = 20;
  private static final int KEPT_BYTES = 1 << LARGEST_BITS;

  /** Index i has buffers of 2^(12 + i) bytes. Each is guarded by itself. */
  private static final List<ArrayDeque<ByteBuffer>> SPARE =
      Stream.generate(ArrayDeque<ByteBuffer>::new).limit(LARGEST_BITS - SMALLEST_BITS + 1).toList();

  private DirectBuffers() {}

  /**
   * A buffer of at least {@code bytes}, with whatever was in it: big-endian, from 0 to {@code
   * bytes}. Its capacity is a power of two, or just {@code bytes} if these are more than 1 MiB.
   */
  static ByteBuffer take(int bytes) {
    if (bytes > 1 << LARGEST_BITS) {
      return ByteBuffer.allocateDirect(bytes);
    }
    int index = Math.max(0, bitsFor(bytes) - SMALLEST_BITS);
    ArrayDeque<ByteBuffer> spare = SPARE.get(index);
    ByteBuffer buffer;
    synchronized (spare) {
      buffer = spare.poll();
    }
    if (buffer == null) {
      buffer = ByteBuffer.allocateDirect(1 << (SMALLEST_BITS + index));
    }
    return buffer.clear().limit(bytes).order(ByteOrder.BIG_ENDIAN);
  }

  /** The end of {@link #take}: nobody may have this buffer, or a slice of it, any more. */
  static void give(ByteBuffer taken) {
    if (taken.capacity() > 1 << LARGEST_BITS) {
      return;
    }
    int index = bitsFor(taken.capacity()) - SMALLEST_BITS;
    ArrayDeque<ByteBuffer> spare = SPARE.get(index);
    synchronized (spare) {
      if (spare.size() < KEPT_BYTES >> (SMALLEST_BITS + index)) {
        spare.push(taken);
      }
    }
  }

  /** The smallest b with 2^b &gt;= {@code bytes}. */
  private static int bitsFor(int bytes) {
    return bytes <= 1 ? 0 : Integer.SIZE - Integer.numberOfLeadingZeros(bytes - 1);
  }
}

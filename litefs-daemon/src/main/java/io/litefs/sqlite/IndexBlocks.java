package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.ArrayBlockingQueue;

/**
 * Memory for blocks of a wal-index, which a {@link WalIndexWriter} needs only while frames are
 * entered. A few are kept for the next: direct memory is too slow to allocate for each transaction.
 *
 * <p>A block belongs to one writer from {@link #take} to {@link #give}. Thread-safe.
 */
final class IndexBlocks {

  private static final int SPARES = 16;

  private static final ArrayBlockingQueue<ByteBuffer> SPARE = new ArrayBlockingQueue<>(SPARES);

  private IndexBlocks() {}

  /** A direct buffer of {@link WalIndex#BLOCK_SIZE}, in native order, with whatever was in it. */
  static ByteBuffer take() {
    ByteBuffer block = SPARE.poll();
    return block == null
        ? ByteBuffer.allocateDirect(WalIndex.BLOCK_SIZE).order(ByteOrder.nativeOrder())
        : block.clear();
  }

  /** Nobody may have this block, or a slice of it, any more. */
  static void give(ByteBuffer block) {
    SPARE.offer(block);
  }
}

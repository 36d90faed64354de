package io.litefs.ltx;

import java.nio.ByteBuffer;
import java.util.concurrent.ArrayBlockingQueue;

/**
 * The memory that one encoder or decoder works with. Most files hold a page or two, so allocating
 * it anew for each would cost more than the file; a few sets are kept for the next.
 *
 * <p>A set belongs to one encoder or decoder from {@link #take} to {@link #give}.
 */
final class LtxBuffers {

  /** Size of the channel's buffer, and of a block in the LZ4 frames that are written. */
  static final int SIZE = 64 * 1024;

  private static final int SPARES = 8;

  private static final ArrayBlockingQueue<LtxBuffers> SPARE = new ArrayBlockingQueue<>(SPARES);

  /** Big-endian; direct, because channels copy heap buffers once more. */
  final ByteBuffer channel = ByteBuffer.allocateDirect(SIZE);

  private byte[] plain;
  private byte[] packed;

  private LtxBuffers() {}

  static LtxBuffers take() {
    LtxBuffers buffers = SPARE.poll();
    if (buffers == null) {
      buffers = new LtxBuffers();
    }
    buffers.channel.clear();
    return buffers;
  }

  static void give(LtxBuffers buffers) {
    SPARE.offer(buffers);
  }

  /** One block of an LZ4 frame, not compressed. */
  byte[] plain() {
    if (plain == null) {
      plain = new byte[SIZE];
    }
    return plain;
  }

  /** One block of an LZ4 frame, compressed; has room for what does not shrink. */
  byte[] packed() {
    if (packed == null) {
      packed = new byte[Lz4.COMPRESSOR.maxCompressedLength(SIZE)];
    }
    return packed;
  }
}

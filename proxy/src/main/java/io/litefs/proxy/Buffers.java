package io.litefs.proxy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;

/**
 * The allocator of all connections of this module, small for the same reason as that of the
 * replication: the daemon has 128 MB of direct memory for everything.
 */
final class Buffers {
  private static final int PAGE_SIZE = 8192;
  private static final int CHUNK_ORDER = 6;

  static final ByteBufAllocator ALLOCATOR =
      new PooledByteBufAllocator(
          true, // direct
          0, // heap arenas: heap buffers are rare and left to the collector
          2, // direct arenas, one per event loop
          PAGE_SIZE,
          CHUNK_ORDER, // chunk = 8 KiB << 6
          64, // cached small buffers per size class and event loop
          16, // cached normal buffers
          false); // caches for event loops only

  /** Most bytes that one read from a socket takes. */
  static final int MAX_READ = 32 << 10;

  /** Bytes waiting to be written beyond which nothing more is read for them, and again is. */
  static final int HIGH_WATER = 32 << 10;

  static final int LOW_WATER = 16 << 10;

  /** A constant that may be written any number of times: {@code duplicate()} it. */
  static ByteBuf constant(String ascii) {
    byte[] bytes = ascii.getBytes(StandardCharsets.US_ASCII);
    return Unpooled.unreleasableBuffer(
        Unpooled.directBuffer(bytes.length).writeBytes(bytes).asReadOnly());
  }

  private Buffers() {}
}

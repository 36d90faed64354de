package io.litefs.replication;

import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;

/**
 * The allocator of all connections of this module. The daemon lives in a heap of 64 to 128 MB and
 * as much direct memory at most, so it is one arena that grows by 512 KiB, instead of Netty's
 * default of an arena per core and chunks of megabytes, and only event loops keep caches: worker
 * threads come and go.
 */
final class Buffers {
  private static final int PAGE_SIZE = 8192;
  private static final int CHUNK_ORDER = 6;

  static final ByteBufAllocator ALLOCATOR =
      new PooledByteBufAllocator(
          true, // direct
          0, // heap arenas: heap buffers are rare and left to the collector
          1, // direct arenas
          PAGE_SIZE,
          CHUNK_ORDER, // chunk = 8 KiB << 6
          64, // cached small buffers per size class and event loop
          16, // cached normal buffers
          false); // caches for event loops only

  private Buffers() {}
}

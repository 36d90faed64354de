package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Which page each frame of a log holds, outside the Java heap: 4 bytes a frame.
 *
 * <p>One thread adds. Others may read frames of which it has told them through a lock or a volatile
 * variable: what was added stays where it was added, also in a chunk that a larger one replaces.
 */
public final class FramePages {

  private static final int CHUNK_BITS = 12;
  private static final int CHUNK_FRAMES = 1 << CHUNK_BITS;

  /** What the first chunk begins with: there may be very many databases with a short log. */
  private static final int FIRST_FRAMES = 64;

  private volatile ByteBuffer[] chunks = new ByteBuffer[0];

  /** Says what {@code frame} (from 1) holds. */
  public void put(long frame, long pgno) {
    int index = (int) ((frame - 1) >>> CHUNK_BITS);
    ByteBuffer[] present = chunks;
    if (index >= present.length || slot(frame) >= present[index].capacity()) {
      present = grown(present, index, slot(frame));
      chunks = present;
    }
    present[index].putInt(slot(frame), (int) pgno);
  }

  /** Only the last chunk may be short, and that only if it is the first. */
  private static ByteBuffer[] grown(ByteBuffer[] present, int index, int slot) {
    ByteBuffer[] grown = Arrays.copyOf(present, Math.max(present.length, index + 1));
    for (int i = 0; i < grown.length; i++) {
      int bytes = CHUNK_FRAMES * Integer.BYTES;
      if (grown.length == 1) {
        bytes = Math.max(FIRST_FRAMES * Integer.BYTES, Integer.highestOneBit(slot) * 2);
      }
      if (grown[i] == null || grown[i].capacity() < bytes) {
        ByteBuffer chunk = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
        if (grown[i] != null) {
          chunk.put(0, grown[i], 0, grown[i].capacity());
        }
        grown[i] = chunk;
      }
    }
    return grown;
  }

  /** The page that {@code frame} holds. */
  public long get(long frame) {
    return Integer.toUnsignedLong(chunks[(int) ((frame - 1) >>> CHUNK_BITS)].getInt(slot(frame)));
  }

  /** Gives the memory of all but the first chunk back. The log begins anew. */
  public void clear() {
    if (chunks.length > 1) {
      chunks = Arrays.copyOf(chunks, 1);
    }
  }

  private static int slot(long frame) {
    return (int) ((frame - 1) & (CHUNK_FRAMES - 1)) * Integer.BYTES;
  }
}

package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Which page each frame of a log holds, outside the Java heap: 4 bytes a frame.
 *
 * <p>One thread adds. Others may read frames of which it has told them through a lock or a volatile
 * variable: what was added never moves.
 */
public final class FramePages {

  private static final int CHUNK_BITS = 12;
  private static final int CHUNK_FRAMES = 1 << CHUNK_BITS;

  private volatile ByteBuffer[] chunks = new ByteBuffer[0];

  /** Says what {@code frame} (from 1) holds. */
  public void put(long frame, long pgno) {
    int index = (int) ((frame - 1) >>> CHUNK_BITS);
    ByteBuffer[] present = chunks;
    if (index >= present.length) {
      ByteBuffer[] grown = Arrays.copyOf(present, index + 1);
      for (int i = present.length; i <= index; i++) {
        grown[i] =
            ByteBuffer.allocateDirect(CHUNK_FRAMES * Integer.BYTES).order(ByteOrder.nativeOrder());
      }
      chunks = grown;
      present = grown;
    }
    present[index].putInt(slot(frame), (int) pgno);
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

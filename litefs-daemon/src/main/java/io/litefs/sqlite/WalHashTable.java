package io.litefs.sqlite;

import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * One block of the wal-index: which page each of its frames holds, and a hash table from page to
 * frame (walformat, section 3.2). Integers are in the machine's byte order.
 *
 * <pre>
 *       0  4096 page numbers, 4 bytes each; in block 0 the first 34 are taken up by the header
 *   16384  8192 slots, 2 bytes each: 0, or i for the i-th frame of the block, from 1
 * </pre>
 *
 * <p>A page's search begins at slot {@code pgno * 383 % 8192} and goes on to the first slot that is
 * 0. Block 0 has frames 1 to 4062, block n the 4096 frames after those of block n - 1. Changes need
 * {@code WAL_WRITE_LOCK}. Readers need no lock: they ignore frames beyond their own {@code
 * mxFrame}, and a slot is filled only after the page number that it points to.
 */
public final class WalHashTable {

  private static final int FRAMES = 4096;
  private static final int FIRST_BLOCK_FRAMES = FRAMES - WalIndex.HEADER_SIZE / 4;
  private static final int SLOTS = 8192;

  /** Offset of the slots in a block, in bytes; they go to its end. */
  static final int SLOTS_OFFSET = FRAMES * 4;

  private static final int HASH_FACTOR = 383;

  private final ByteBuffer block;
  private final int numbersOffset;
  private final int capacity;
  private final long zero;

  /**
   * A view on a block.
   *
   * @param block the 32768 bytes from index 0, mapped or a copy
   * @param number of the block, from 0
   */
  public WalHashTable(ByteBuffer block, int number) {
    this.block = block.slice(0, WalIndex.BLOCK_SIZE).order(ByteOrder.nativeOrder());
    this.numbersOffset = number == 0 ? WalIndex.HEADER_SIZE : 0;
    this.capacity = number == 0 ? FIRST_BLOCK_FRAMES : FRAMES;
    this.zero = number == 0 ? 0 : FIRST_BLOCK_FRAMES + (number - 1) * (long) FRAMES;
  }

  /** The block that holds a frame, from 0. */
  public static int blockOf(long frame) {
    return (int) ((frame + FRAMES - FIRST_BLOCK_FRAMES - 1) / FRAMES);
  }

  /** First frame of this block. */
  public long firstFrame() {
    return zero + 1;
  }

  /** Last frame that this block has room for. */
  public long lastFrame() {
    return zero + capacity;
  }

  /**
   * Enters a frame. The first one of a block clears the block; one in a place that is taken, by a
   * writer that died in the middle of its transaction, first removes all frames from that place on.
   *
   * @param frame follows the last one entered
   * @return offset in the block of the slot that it took
   * @throws IllegalStateException if the block is damaged: the index must be recovered
   */
  public int append(long frame, long pgno) {
    int index = index(frame);
    if (index == 1) {
      clear(numbersOffset);
    } else if (block.getInt(numberAt(index)) != 0) {
      truncate(frame - 1);
    }
    int slot = slotOf(pgno);
    for (int collisions = 0; slotValue(slot) != 0; collisions++) {
      if (collisions == index) {
        throw new IllegalStateException("the wal-index has more entries than frames");
      }
      slot = next(slot);
    }
    block.putInt(numberAt(index), (int) pgno);
    VarHandle.releaseFence(); // a reader that sees the slot must see the page number
    block.putShort(SLOTS_OFFSET + 2 * slot, (short) index);
    return SLOTS_OFFSET + 2 * slot;
  }

  /**
   * Removes all frames after {@code last}, which is one of this block or the one before its first.
   */
  public void truncate(long last) {
    int keep = (int) (last - zero);
    for (int slot = 0; slot < SLOTS; slot++) {
      if (slotValue(slot) > keep) {
        block.putShort(SLOTS_OFFSET + 2 * slot, (short) 0);
      }
    }
    for (int index = keep + 1; index <= capacity; index++) {
      block.putInt(numberAt(index), 0);
    }
  }

  /**
   * The newest frame of this block with the page, not after {@code maxFrame}.
   *
   * @return 0 if there is none
   */
  public long find(long pgno, long maxFrame) {
    long found = 0;
    int slot = slotOf(pgno);
    for (int tries = 0; slotValue(slot) != 0 && tries < SLOTS; tries++) {
      int index = slotValue(slot);
      long frame = zero + index;
      if (frame <= maxFrame && frame > found && pageOf(frame) == pgno) {
        found = frame;
      }
      slot = next(slot);
    }
    return found;
  }

  /** The page that a frame of this block holds; 0 if none was entered. */
  public long pageOf(long frame) {
    return Integer.toUnsignedLong(block.getInt(numberAt(index(frame))));
  }

  private void clear(int from) {
    for (int i = from; i < WalIndex.BLOCK_SIZE; i += 8) {
      block.putLong(i, 0);
    }
  }

  private int index(long frame) {
    if (frame <= zero || frame > lastFrame()) {
      throw new IllegalArgumentException(
          "frame " + frame + " is not within " + firstFrame() + " to " + lastFrame());
    }
    return (int) (frame - zero);
  }

  /** Offset in the block of the page number of a frame. */
  int numberOffset(long frame) {
    return numberAt(index(frame));
  }

  private int numberAt(int index) {
    return numbersOffset + 4 * (index - 1);
  }

  private int slotValue(int slot) {
    return Short.toUnsignedInt(block.getShort(SLOTS_OFFSET + 2 * slot));
  }

  private static int slotOf(long pgno) {
    return (int) (pgno * HASH_FACTOR) & (SLOTS - 1);
  }

  private static int next(int slot) {
    return (slot + 1) & (SLOTS - 1);
  }
}

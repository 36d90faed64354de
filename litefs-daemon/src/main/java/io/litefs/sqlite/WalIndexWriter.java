package io.litefs.sqlite;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Keeps a wal-index as the process that holds {@code WAL_WRITE_LOCK} and {@code WAL_CKPT_LOCK}
 * does, for as long as it holds them, while any number of connections read without a lock on what
 * they read (walformat, section 3).
 *
 * <p>The index is not mapped here: bytes go to a {@link Memory}, and readers may see each byte of a
 * {@link Memory#put} at a moment of its own. Nothing is assumed of the order of the bytes within
 * one put, nor that two or four of them change together, as SQLite may assume of its own stores to
 * a mapping. Puts are seen in the order in which they are made.
 *
 * <h2>Why readers are safe</h2>
 *
 * <ul>
 *   <li><i>Page numbers</i> of new frames: nobody looks at that of a frame beyond its own {@code
 *       mxFrame}.
 *   <li><i>Hash slots</i>: a reader goes through every slot of a chain, also those of frames that
 *       are none of its business, and ignores these by their number. Half of a number is another
 *       number, perhaps that of an old frame of the page that is sought. So a slot changes byte by
 *       byte: the high byte becomes ff, which makes it a number beyond all frames of the block,
 *       then the low byte changes, then the high byte. Slots of the same area change together, in
 *       three puts.
 *   <li><i>Header</i>: second copy, then first. A reader goes the other way round and takes only
 *       two equal copies with a good checksum.
 *   <li>{@code nBackfill}: too small a number only makes readers look into the log for what the
 *       database file has too. Too large a number would hide frames. So while it changes, byte by
 *       byte, it is never above the new number: the lower bytes become 0, the highest that differs
 *       takes its new value, the lower ones follow.
 *   <li><i>Read marks</i> and lock bytes are never touched. A mark that nobody holds means nothing,
 *       and one that is left from before a restart of the log is a number like any other: who comes
 *       to use it as it is does so only if it is not above its own {@code mxFrame}.
 * </ul>
 *
 * <p>{@link #setBackfilled} and {@link #setBackfillAttempted} may be called by one other thread
 * than the rest.
 */
public final class WalIndexWriter {

  /** The bytes of an index. */
  @FunctionalInterface
  public interface Memory {

    /**
     * Changes bytes, growing the index if they lie beyond its end.
     *
     * @param bytes direct; all that remain, its position need not change
     */
    void put(long offset, ByteBuffer bytes) throws IOException;
  }

  private static final short BEYOND = (short) 0xff00;

  private final Memory memory;
  private final FramePages pages;

  /**
   * The block into which the next frame goes, as readers see it; null if it is not in memory. It
   * follows from what its frames hold, which were entered in their order.
   */
  private ByteBuffer block;

  /** Number of that block; -1 before the first frame of a log. */
  private int number = -1;

  private final ByteBuffer copy = order(WalIndexHeader.SIZE);
  private final ByteBuffer counter = order(Integer.BYTES);
  private WalIndexHeader header;
  private long backfilled;

  /** Frames that are entered; those behind the header's are for nobody to see yet. */
  private long entered;

  /** Whether entering frames failed, so that {@link #entered} is more than what is really there. */
  private boolean broken;

  /**
   * @param pages takes what each frame holds
   */
  public WalIndexWriter(Memory memory, FramePages pages) {
    this.memory = memory;
    this.pages = pages;
  }

  private static ByteBuffer order(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }

  /** The header that was published last. */
  public WalIndexHeader header() {
    return header;
  }

  /**
   * Begins with an empty log. Nobody may hold read locks 1 to 4, and all that the log had must be
   * in the database file: then whoever begins to read before this is published gets lock 0, if any,
   * and reads the file alone.
   */
  public void restart(WalIndexHeader empty) throws IOException {
    if (empty.maxFrame() != 0) {
      throw new IllegalArgumentException("an empty log has no frame " + empty.maxFrame());
    }
    // The header before nBackfill: in between they differ, so that nobody takes the file for whole.
    publish(empty);
    put(WalIndex.CHECKPOINT_INFO, 0);
    put(WalIndex.BACKFILL_ATTEMPTED, 0);
    backfilled = 0;
    entered = 0;
    number = -1;
    broken = false;
    pages.clear();
  }

  /**
   * Goes on with an index that others have written and nobody writes now.
   *
   * @param present the valid header
   * @param copied {@code nBackfill}
   * @param pageOf what each frame up to the header's last holds
   */
  public void resume(WalIndexHeader present, long copied, FramePages pageOf) {
    header = present;
    backfilled = copied;
    entered = present.maxFrame();
    for (long frame = 1; frame <= entered; frame++) {
      pages.put(frame, pageOf.get(frame));
    }
    broken = false;
    rest();
    number = entered > 0 ? WalHashTable.blockOf(entered) : -1;
  }

  /** Needs less memory until the next frame is entered, which takes a little longer then. */
  public void rest() {
    if (block != null && !broken && entered == header.maxFrame()) {
      IndexBlocks.give(block);
      block = null;
    }
  }

  /**
   * Writes the blocks of frames 1 to the last one anew, over an index in an unknown state that
   * nobody believes: its header is not valid.
   */
  public void rewriteBlocks() throws IOException {
    ByteBuffer staged = IndexBlocks.take();
    try {
      for (int i = 0; entered > 0 && i <= number; i++) {
        fill(staged, i, entered);
        int from = i == 0 ? WalIndex.HEADER_SIZE : 0;
        memory.put(
            (long) i * WalIndex.BLOCK_SIZE + from, staged.slice(from, WalIndex.BLOCK_SIZE - from));
      }
    } finally {
      IndexBlocks.give(staged);
    }
  }

  /**
   * Enters frames, which nobody sees before {@link #publish}.
   *
   * @param last number of the last frame; the first is the one after the last published. What each
   *     holds was put into the {@link FramePages}
   */
  public void enter(long last) throws IOException {
    long first = header.maxFrame() + 1;
    ByteBuffer staged = IndexBlocks.take();
    try {
      recall();
      if (broken || entered != header.maxFrame()) {
        withdraw(staged);
      }
      entered = last;
      broken = true;
      for (long frame = first; frame <= last; ) {
        WalHashTable table = tableFor(frame);
        long end = Math.min(last, table.lastFrame());
        enter(table, frame, end, staged);
        frame = end + 1;
      }
      broken = false;
    } finally {
      IndexBlocks.give(staged);
    }
  }

  /** Undoes {@link #rest}. */
  private void recall() {
    if (block == null) {
      block = IndexBlocks.take();
      if (number >= 0) {
        fill(block, number, entered);
      }
    }
  }

  /** Publishes the frames that were entered. */
  public void publish(WalIndexHeader next) throws IOException {
    copy.clear();
    next.encode(copy);
    memory.put(WalIndex.SECOND_COPY, copy.flip());
    memory.put(WalIndex.FIRST_COPY, copy.rewind());
    header = next;
  }

  /** Frames that were copied into the database file, which has been synced since. */
  public void setBackfilled(long frames) throws IOException {
    int before = (int) backfilled;
    int after = (int) frames;
    int high = 3;
    while (high > 0 && octet(before, high) == octet(after, high)) {
      high--;
    }
    for (int i = high - 1; i >= 0; i--) {
      putOctet(i, 0);
    }
    for (int i = high; i >= 0; i--) {
      putOctet(i, octet(after, i));
    }
    backfilled = frames;
  }

  /** Frames that are about to be copied. Only who opens a snapshot by its name looks at it. */
  public void setBackfillAttempted(long frames) throws IOException {
    put(WalIndex.BACKFILL_ATTEMPTED, (int) frames);
  }

  private void put(int offset, int value) throws IOException {
    memory.put(offset, counter.clear().putInt(0, value));
  }

  private static int octet(int value, int significance) {
    return value >>> (8 * significance) & 0xff;
  }

  private void putOctet(int significance, int value) throws IOException {
    int at = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN ? significance : 3 - significance;
    memory.put(WalIndex.CHECKPOINT_INFO + at, counter.clear().put(0, (byte) value).slice(0, 1));
  }

  /** The table for a frame that follows the last one entered. */
  private WalHashTable tableFor(long frame) throws IOException {
    int wanted = WalHashTable.blockOf(frame);
    if (wanted != number) {
      fill(block, wanted, 0);
      number = wanted;
      // Nobody looks into this block: it begins behind every reader's last frame.
      int from = wanted == 0 ? WalIndex.HEADER_SIZE : 0;
      memory.put(
          (long) wanted * WalIndex.BLOCK_SIZE + from,
          block.slice(from, WalIndex.BLOCK_SIZE - from));
    }
    return new WalHashTable(block, number);
  }

  private void enter(WalHashTable table, long first, long last, ByteBuffer staged)
      throws IOException {
    int count = (int) (last - first + 1);
    int[] slots = new int[count];
    for (int i = 0; i < count; i++) {
      slots[i] = table.append(first + i, pages.get(first + i));
    }
    int from = table.numberOffset(first);
    memory.put(base() + from, block.slice(from, count * Integer.BYTES));
    change(slots, count, staged);
  }

  /** Brings slots from 0 to what the block says; {@code staged} is to work with. */
  private void change(int[] slots, int count, ByteBuffer staged) throws IOException {
    int low = Integer.MAX_VALUE;
    int high = 0;
    for (int i = 0; i < count; i++) {
      low = Math.min(low, slots[i]);
      high = Math.max(high, slots[i] + Short.BYTES);
    }
    int length = high - low;
    staged.put(low, block, low, length);
    for (int i = 0; i < count; i++) {
      staged.putShort(slots[i], BEYOND);
    }
    memory.put(base() + low, staged.slice(low, length));
    for (int i = 0; i < count; i++) {
      staged.putShort(slots[i], (short) (BEYOND | block.getShort(slots[i]) & 0xff));
    }
    memory.put(base() + low, staged.slice(low, length));
    memory.put(base() + low, block.slice(low, length));
  }

  private long base() {
    return (long) number * WalIndex.BLOCK_SIZE;
  }

  /** Takes frames out that were entered, perhaps in part, and never published. */
  private void withdraw(ByteBuffer staged) throws IOException {
    long last = header.maxFrame();
    if (last == 0) {
      number = -1; // The next frame clears the first block.
    } else {
      number = WalHashTable.blockOf(last);
      WalHashTable table = fill(staged, number, Math.min(entered, lastFrameOf(number)));
      fill(block, number, last);
      int[] slots = new int[(int) (table.lastFrame() - table.firstFrame() + 1)];
      int count = 0;
      for (int at = WalHashTable.SLOTS_OFFSET; at < WalIndex.BLOCK_SIZE; at += Short.BYTES) {
        if (staged.getShort(at) != block.getShort(at)) {
          slots[count++] = at;
        }
      }
      takeOut(slots, count, staged);
      int from = last == table.lastFrame() ? 0 : table.numberOffset(last + 1);
      if (from > 0) {
        memory.put(base() + from, block.slice(from, WalHashTable.SLOTS_OFFSET - from));
      }
    }
    entered = last;
    broken = false;
  }

  /** The way of {@link #change} backwards: the high byte, the low one, the high one. */
  private void takeOut(int[] slots, int count, ByteBuffer staged) throws IOException {
    for (int step = 0; step < 3; step++) {
      for (int i = 0; i < count; i++) {
        short before = staged.getShort(slots[i]);
        short next =
            switch (step) {
              case 0 -> (short) (BEYOND | before & 0xff);
              case 1 -> BEYOND;
              default -> 0;
            };
        staged.putShort(slots[i], next);
        memory.put(base() + slots[i], staged.slice(slots[i], Short.BYTES));
      }
    }
  }

  private static long lastFrameOf(int number) {
    return new WalHashTable(ByteBuffer.allocate(WalIndex.BLOCK_SIZE), number).lastFrame();
  }

  /** Makes a block with its frames up to {@code last}. */
  private WalHashTable fill(ByteBuffer into, int blockNumber, long last) {
    for (int i = 0; i < WalIndex.BLOCK_SIZE; i += Long.BYTES) {
      into.putLong(i, 0);
    }
    WalHashTable table = new WalHashTable(into, blockNumber);
    for (long frame = table.firstFrame(); frame <= Math.min(last, table.lastFrame()); frame++) {
      table.append(frame, pages.get(frame));
    }
    return table;
  }
}

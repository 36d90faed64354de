package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * {@code WalCkptInfo}: how far the log was copied into the database, and how far readers use it
 * (walformat, section 3.1). Integers are in the machine's byte order. At {@link
 * WalIndex#CHECKPOINT_INFO} of the shm file:
 *
 * <pre>
 *   96  nBackfill           frames copied into the database file
 *  100  aReadMark           5 integers; [0] is always 0, ffffffff is an unused mark
 *  120  aLock               8 bytes that are only locked, see {@link LockBytes}
 *  128  nBackfillAttempted  frames that a checkpoint set out to copy
 *  132  unused
 * </pre>
 *
 * <p>A reader under {@code WAL_READ_LOCK(i)}, i &gt; 0, uses frames up to mark i at least; who
 * changes mark i must hold that lock exclusively. {@code nBackfill} is changed under {@code
 * WAL_CKPT_LOCK}, and set to 0 under {@code WAL_WRITE_LOCK}.
 *
 * @param backfilled frames, at most {@code mxFrame}
 * @param readMarks five
 * @param backfillAttempted frames
 */
public record WalCheckpointInfo(long backfilled, List<Long> readMarks, long backfillAttempted) {

  /** Bytes, those for locks included. */
  public static final int SIZE = 40;

  /** Offset of the read marks within the structure. */
  static final int READ_MARKS = 4;

  /** Offset of {@code nBackfillAttempted} within the structure. */
  static final int BACKFILL_ATTEMPTED = 32;

  /** A read mark that no reader uses. */
  public static final long READ_MARK_NOT_USED = 0xffffffffL;

  /**
   * For a log that begins anew, as {@code walRestartHdr} leaves it: nothing is copied, and mark 1
   * stands at frame 0 for the first reader.
   */
  public static final WalCheckpointInfo RESTARTED =
      new WalCheckpointInfo(
          0, List.of(0L, 0L, READ_MARK_NOT_USED, READ_MARK_NOT_USED, READ_MARK_NOT_USED), 0);

  public WalCheckpointInfo {
    readMarks = List.copyOf(readMarks);
    if (readMarks.size() != LockBytes.WAL_READERS) {
      throw new IllegalArgumentException(readMarks.size() + " read marks instead of 5");
    }
  }

  /**
   * After the recovery of a log with committed frames up to {@code maxFrame}, as {@code
   * walIndexRecover} leaves it.
   */
  public static WalCheckpointInfo recovered(long maxFrame) {
    return new WalCheckpointInfo(
        0,
        List.of(
            0L,
            maxFrame == 0 ? READ_MARK_NOT_USED : maxFrame,
            READ_MARK_NOT_USED,
            READ_MARK_NOT_USED,
            READ_MARK_NOT_USED),
        maxFrame);
  }

  /** Decodes 40 bytes at the buffer's position, which stays as it is. */
  public static WalCheckpointInfo decode(ByteBuffer buffer) {
    ByteBuffer in = buffer.slice(buffer.position(), SIZE).order(ByteOrder.nativeOrder());
    return new WalCheckpointInfo(
        Integer.toUnsignedLong(in.getInt(0)),
        List.of(mark(in, 0), mark(in, 1), mark(in, 2), mark(in, 3), mark(in, 4)),
        Integer.toUnsignedLong(in.getInt(32)));
  }

  /**
   * Writes 40 bytes, with zeros for the lock bytes (whose content means nothing), and advances the
   * position.
   */
  public void encode(ByteBuffer buffer) {
    ByteBuffer out = buffer.slice(buffer.position(), SIZE).order(ByteOrder.nativeOrder());
    out.putInt(0, (int) backfilled);
    for (int slot = 0; slot < LockBytes.WAL_READERS; slot++) {
      out.putInt(4 + 4 * slot, readMarks.get(slot).intValue());
    }
    out.putLong(24, 0).putInt(32, (int) backfillAttempted).putInt(36, 0);
    buffer.position(buffer.position() + SIZE);
  }

  private static long mark(ByteBuffer in, int slot) {
    return Integer.toUnsignedLong(in.getInt(4 + 4 * slot));
  }
}

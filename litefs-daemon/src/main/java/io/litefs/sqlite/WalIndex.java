package io.litefs.sqlite;

import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * The {@code -shm} file (walformat, section 3), which connections map: blocks of 32 KiB, each with
 * the page numbers of its frames and a hash table over them ({@link WalHashTable}); in the first
 * block they are preceded by 136 bytes:
 *
 * <pre>
 *    0  {@link WalIndexHeader}, first copy
 *   48  {@link WalIndexHeader}, second copy
 *   96  {@link WalCheckpointInfo}, with the lock bytes at 120 to 127
 * </pre>
 *
 * <h2>The two copies</h2>
 *
 * A reader takes no lock to read the header: it reads the first copy, then, after a barrier, the
 * second, and believes them only if they are equal. So a writer writes the second copy, a barrier,
 * the first one ({@code walIndexWriteHdr}). A reader that finds them unequal, or with a bad
 * checksum, takes {@code WAL_WRITE_LOCK}, looks again, and if they still are, rebuilds the index
 * from the log. Having locked its read mark it compares the first copy with what it has read, and
 * begins again if they differ.
 *
 * <h2>Changing the database file behind the log</h2>
 *
 * A process that is to change the database file of a WAL database in place does so as follows; all
 * versions of SQLite since 3.7.0 are safe against it, since each step is one that SQLite itself
 * takes (exclusive locks on every byte as in a recovery, an emptied log as in a restart):
 *
 * <ol>
 *   <li>Take {@link LockBytes#WAL_WRITE}, {@link LockBytes#WAL_CHECKPOINT}, {@link
 *       LockBytes#WAL_RECOVER} and all of {@link LockBytes#walRead} exclusively. No reader is in a
 *       transaction then: one that reads the file alone holds read lock 0, one that uses the log
 *       holds another. None can begin: it needs one of these locks in every case. No writer or
 *       checkpointer is at work. A connection that begins to read meanwhile retries for some 10 s,
 *       then fails with {@code SQLITE_PROTOCOL}; if the locks may be held for longer, invalidate
 *       the header first ({@link #invalidateHeader}): then it is {@code SQLITE_BUSY_RECOVERY}, at
 *       once, and the application's busy handler waits. A connection with {@code
 *       locking_mode=EXCLUSIVE} may have its index in its own memory and none of these locks; a
 *       SHARED lock on the database file keeps it out.
 *   <li>Have every committed frame copied into the database file, and make the log void on disk
 *       (truncate it, or give it a {@link WalHeader#restarted} header). Else a recovery, after a
 *       crash from here on or after the last connection was killed, would lay its old pages over
 *       the new ones.
 *   <li>Write the database file.
 *   <li>Write the header {@link WalIndexHeader#emptyLog} (second copy, barrier, first copy) and
 *       {@link WalCheckpointInfo#RESTARTED}. Hash tables need no change: with {@code mxFrame} 0
 *       nobody looks into them, and the first frame of the next log clears them.
 *   <li>Release the locks. The next transaction of every connection compares the header with the
 *       one it remembers. {@code iChange} and the salts differ, so it drops its page cache and
 *       reads page 1 afresh. As {@code nBackfill} equals {@code mxFrame} it reads the file alone.
 *       The next writer begins a new log, with the header's salts or with random ones. The schema
 *       is read again only if its cookie differs: a database that does not descend from the one
 *       before must have another cookie, as SQLite's own backup sees to it.
 * </ol>
 *
 * <p>Methods that take a buffer expect the first block, or its first 136 bytes at least, from index
 * 0.
 */
public final class WalIndex {

  /** Bytes of a block. */
  public static final int BLOCK_SIZE = 32768;

  /** Offset of the first copy of the header, the one that is written last. */
  public static final int FIRST_COPY = 0;

  /** Offset of the second copy of the header, the one that is written first. */
  public static final int SECOND_COPY = FIRST_COPY + WalIndexHeader.SIZE;

  /** Offset of {@link WalCheckpointInfo}. */
  public static final int CHECKPOINT_INFO = SECOND_COPY + WalIndexHeader.SIZE;

  /** Bytes before the page numbers in the first block. */
  public static final int HEADER_SIZE = CHECKPOINT_INFO + WalCheckpointInfo.SIZE;

  /**
   * Offset of the read marks and the lock bytes behind them, which belong to the readers. Together
   * with {@link #UNUSED} the only bytes of the index that a connection changes which holds neither
   * the write nor the checkpoint lock.
   */
  public static final int READ_MARKS = CHECKPOINT_INFO + WalCheckpointInfo.READ_MARKS;

  /** Offset of the first byte behind the lock bytes: {@code nBackfillAttempted}. */
  public static final int BACKFILL_ATTEMPTED =
      CHECKPOINT_INFO + WalCheckpointInfo.BACKFILL_ATTEMPTED;

  /** Offset of four bytes that nobody uses. */
  public static final int UNUSED = BACKFILL_ATTEMPTED + Integer.BYTES;

  private WalIndex() {}

  /**
   * The header that a connection would read now.
   *
   * @return empty if the copies differ or are not valid: a writer is between them, or the index
   *     must be recovered
   */
  public static Optional<WalIndexHeader> readHeader(ByteBuffer shm) {
    byte[] first = new byte[WalIndexHeader.SIZE];
    byte[] second = new byte[WalIndexHeader.SIZE];
    if (shm.limit() < HEADER_SIZE) {
      return Optional.empty();
    }
    shm.get(FIRST_COPY, first);
    VarHandle.fullFence(); // a writer goes from the second copy to the first
    shm.get(SECOND_COPY, second);
    return Arrays.equals(first, second)
        ? WalIndexHeader.decode(ByteBuffer.wrap(first))
        : Optional.empty();
  }

  /**
   * Writes both copies in the order that readers rely on. Where {@code shm} is not mapped memory,
   * write {@link #SECOND_COPY} and {@link #FIRST_COPY} with two calls in this order instead.
   */
  public static void writeHeader(ByteBuffer shm, WalIndexHeader header) {
    ByteBuffer copy = ByteBuffer.allocate(WalIndexHeader.SIZE);
    header.encode(copy);
    shm.put(SECOND_COPY, copy.array());
    VarHandle.fullFence(); // a reader goes from the first copy to the second
    shm.put(FIRST_COPY, copy.array());
  }

  /**
   * Makes both copies invalid, so that the next connection that begins a transaction recovers the
   * index from the log, as soon as it gets {@code WAL_WRITE_LOCK}. To be called under that lock.
   */
  public static void invalidateHeader(ByteBuffer shm) {
    byte[] zeros = new byte[WalIndexHeader.SIZE];
    shm.put(SECOND_COPY, zeros);
    VarHandle.fullFence();
    shm.put(FIRST_COPY, zeros);
  }

  /** Reads the checkpoint state. */
  public static WalCheckpointInfo readCheckpointInfo(ByteBuffer shm) {
    return WalCheckpointInfo.decode(shm.slice(CHECKPOINT_INFO, WalCheckpointInfo.SIZE));
  }

  /** Writes the checkpoint state; for who holds all the locks that it belongs to. */
  public static void writeCheckpointInfo(ByteBuffer shm, WalCheckpointInfo info) {
    info.encode(shm.slice(CHECKPOINT_INFO, WalCheckpointInfo.SIZE));
  }
}

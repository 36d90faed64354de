package io.litefs.sqlite;

/**
 * The bytes that SQLite's unix VFS locks, as offsets into the database file (lockingv3, section 3)
 * and into the {@code -shm} file (walformat, section 2.3). A process that takes them with {@code
 * fcntl} as described there is one more SQLite process to all others.
 */
public final class LockBytes {

  /**
   * Database file. A reader takes it shared for a moment before {@link #SHARED_FIRST}; a writer
   * that holds it exclusively keeps new readers out while those inside drain.
   */
  public static final long PENDING = 0x40000000L;

  /** Database file. Exclusive: the one connection that prepares a write; readers go on. */
  public static final long RESERVED = PENDING + 1;

  /**
   * Database file, first of {@link #SHARED_LENGTH} bytes. Shared: a reader (and every connection of
   * a WAL database while it is open). Exclusive on all of them: the EXCLUSIVE lock.
   */
  public static final long SHARED_FIRST = PENDING + 2;

  /** Number of bytes from {@link #SHARED_FIRST}. */
  public static final long SHARED_LENGTH = 510;

  /** Shm file, {@code WAL_WRITE_LOCK}. Exclusive: may append to the WAL and write the index. */
  public static final long WAL_WRITE = 120;

  /** Shm file, {@code WAL_CKPT_LOCK}. Exclusive: may copy frames into the database file. */
  public static final long WAL_CHECKPOINT = 121;

  /**
   * Shm file, {@code WAL_RECOVER_LOCK}. Exclusive: rebuilds the wal-index. A reader that finds the
   * header invalid and cannot get this byte reports {@code SQLITE_BUSY_RECOVERY}, for which the
   * busy handler runs; without it the reader only retries, for about 10 s in all, and then fails
   * with {@code SQLITE_PROTOCOL}.
   */
  public static final long WAL_RECOVER = 122;

  /**
   * Shm file, {@code WAL_READ_LOCK(0)}, the first of {@link #WAL_READERS}. Shared on slot 0: reads
   * the database file alone; shared on slot i &gt; 0: reads frames up to read mark i as well.
   */
  public static final long WAL_READ_0 = 123;

  /** Number of read locks, {@code WAL_NREADER}. */
  public static final int WAL_READERS = 5;

  /**
   * Shm file, {@code UNIX_SHM_DMS}, the "dead man's switch". Shared while a process has the shm
   * open; whoever gets it exclusively at open is alone and truncates the shm.
   */
  public static final long SHM_DMS = 128;

  private LockBytes() {}

  /** Shm byte of {@code WAL_READ_LOCK(slot)}, {@code slot} 0 to 4. */
  public static long walRead(int slot) {
    if (slot < 0 || slot >= WAL_READERS) {
      throw new IllegalArgumentException("read lock " + slot + " is not within 0 to 4");
    }
    return WAL_READ_0 + slot;
  }
}

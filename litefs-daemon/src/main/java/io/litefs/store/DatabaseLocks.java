package io.litefs.store;

import io.litefs.fuse.KeeperFile;
import io.litefs.fuse.Keepers;
import io.litefs.fuse.LockHolder;
import io.litefs.fuse.LockType;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.LockBytes;
import io.litefs.sqlite.WalIndex;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.LongConsumer;

/**
 * The daemon as one more SQLite process: takes the locks by which SQLite excludes others from a
 * database, through the daemon's own mount.
 *
 * <p>Source: SQLite's "File Locking And Concurrency", section 5, and the WAL-mode file format
 * document, section 2.3.
 *
 * <p>Used by one thread at a time, but for the read locks and the index, which another may use at
 * the same time. None of its methods may be called with a lock held that handlers of the mount
 * need.
 */
final class DatabaseLocks {

  private static final int MODE = 0666;
  private static final long ROLLBACK_LENGTH = 2 + LockBytes.SHARED_LENGTH;
  private static final long WAL_LENGTH = 3 + LockBytes.WAL_READERS;

  /** {@code WAL_WRITE_LOCK} and {@code WAL_CKPT_LOCK}. */
  private static final long GUARD_LENGTH = 2;

  private final Keepers keepers;
  private final Path path;
  private final LongConsumer waited;
  private volatile KeeperFile database;
  private volatile KeeperFile shm;
  private boolean walGuarded;
  private boolean reserved;

  /**
   * @param waited is told how long it took to get the locks, or to give up; nanoseconds
   */
  DatabaseLocks(Keepers keepers, Path pathInMount, LongConsumer waited) {
    this.keepers = keepers;
    this.path = pathInMount;
    this.waited = waited;
  }

  /**
   * Shuts everybody else out of the database: readers and writers.
   *
   * <p>Rollback journal: RESERVED (no writer is at work), PENDING (no new reader comes), then all
   * of SHARED as the readers leave. WAL: the write, checkpoint and recovery locks, then each read
   * lock.
   *
   * @param patience how long to wait in all
   * @return false if time was up; no lock is held then that was not held before
   */
  boolean acquireExclusive(boolean wal, Duration patience) throws ErrnoException {
    long start = System.nanoTime();
    long deadline = start + patience.toNanos();
    boolean done = false;
    try {
      done = wal ? acquireWal(deadline) : acquireRollback(deadline);
      waited.accept(System.nanoTime() - start);
      return done;
    } finally {
      if (!done) {
        releaseExclusive(wal);
      }
    }
  }

  private boolean acquireRollback(long deadline) throws ErrnoException {
    KeeperFile file = databaseFile();
    if (file.tryLock(LockType.WRITE, LockBytes.PENDING, ROLLBACK_LENGTH)) {
      return true;
    }
    return file.lock(LockType.WRITE, LockBytes.RESERVED, 1, left(deadline))
        && file.lock(LockType.WRITE, LockBytes.PENDING, 1, left(deadline))
        && file.lock(
            LockType.WRITE, LockBytes.SHARED_FIRST, LockBytes.SHARED_LENGTH, left(deadline));
  }

  private boolean acquireWal(long deadline) throws ErrnoException {
    KeeperFile file = shmFile();
    if (file.tryLock(LockType.WRITE, LockBytes.WAL_WRITE, WAL_LENGTH)) {
      return true;
    }
    for (long lockByte = LockBytes.WAL_WRITE;
        lockByte < LockBytes.WAL_WRITE + WAL_LENGTH;
        lockByte++) {
      if (!file.lock(LockType.WRITE, lockByte, 1, left(deadline))) {
        return false;
      }
    }
    return true;
  }

  void releaseExclusive(boolean wal) throws ErrnoException {
    if (wal) {
      if (shm != null) {
        long kept = walGuarded ? GUARD_LENGTH : 0;
        shm.unlock(LockBytes.WAL_WRITE + kept, WAL_LENGTH - kept);
      }
    } else if (database != null) {
      if (reserved) {
        database.unlock(LockBytes.PENDING, 1);
        database.unlock(LockBytes.SHARED_FIRST, LockBytes.SHARED_LENGTH);
      } else {
        database.unlock(LockBytes.PENDING, ROLLBACK_LENGTH);
      }
    }
  }

  /**
   * Takes RESERVED on the database and keeps it until {@link #unreserve} or {@link #close},
   * whatever else is released: no application writes with a rollback journal or changes the journal
   * mode.
   */
  boolean reserve(Duration patience) throws ErrnoException {
    reserved = reserved || databaseFile().lock(LockType.WRITE, LockBytes.RESERVED, 1, patience);
    return reserved;
  }

  /** Undoes {@link #reserve}. */
  void unreserve() throws ErrnoException {
    if (reserved) {
      database.unlock(LockBytes.RESERVED, 1);
      reserved = false;
    }
  }

  /** Who is in the way of {@link #reserve}, if anybody is. */
  Optional<LockHolder> writer() throws ErrnoException {
    return databaseFile().holder(LockType.WRITE, LockBytes.RESERVED, 1);
  }

  /**
   * Becomes the one process that writes a WAL database, and stays it until {@link #close}.
   *
   * <ul>
   *   <li>SHARED on the database and on the shm's DMS byte, as an application with an open
   *       connection has them: no application's last close removes the WAL, none resets the index,
   *       none takes the database for itself ({@code locking_mode=EXCLUSIVE}).
   *   <li>{@code WAL_WRITE_LOCK}: no application appends to the WAL, restarts it, or recovers the
   *       index, which needs this lock in every version. A reader that finds the two copies of the
   *       header different, because the daemon is between them, retries.
   *   <li>{@code WAL_CKPT_LOCK}: only the daemon checkpoints.
   * </ul>
   *
   * @return false if somebody held one of these for as long as {@code patience}; what was taken is
   *     kept, for the next attempt
   */
  boolean guardWal(Duration patience) throws ErrnoException {
    if (!walGuarded) {
      long start = System.nanoTime();
      long deadline = start + patience.toNanos();
      walGuarded =
          databaseFile()
                  .lock(
                      LockType.READ,
                      LockBytes.SHARED_FIRST,
                      LockBytes.SHARED_LENGTH,
                      left(deadline))
              && shmFile().lock(LockType.READ, LockBytes.SHM_DMS, 1, left(deadline))
              && shmFile().lock(LockType.WRITE, LockBytes.WAL_WRITE, GUARD_LENGTH, left(deadline));
      waited.accept(System.nanoTime() - start);
    }
    return walGuarded;
  }

  /** Whether {@link #guardWal} has succeeded. */
  boolean isGuarded() {
    return walGuarded;
  }

  /** Who is in the way of {@link #guardWal}, if anybody is. */
  Optional<LockHolder> guardBlocker() throws ErrnoException {
    Optional<LockHolder> holder =
        databaseFile().holder(LockType.READ, LockBytes.SHARED_FIRST, LockBytes.SHARED_LENGTH);
    if (holder.isEmpty()) {
      holder = shmFile().holder(LockType.READ, LockBytes.SHM_DMS, 1);
    }
    return holder.isPresent()
        ? holder
        : shmFile().holder(LockType.WRITE, LockBytes.WAL_WRITE, GUARD_LENGTH);
  }

  /**
   * While guarding: takes EXCLUSIVE on the database if nobody else has it open. Every connection in
   * WAL mode has SHARED as long as it is open. The guard stays if this fails: converting a lock is
   * atomic.
   */
  boolean tryAlone() throws ErrnoException {
    return databaseFile().tryLock(LockType.WRITE, LockBytes.PENDING, ROLLBACK_LENGTH);
  }

  /** Undoes {@link #tryAlone}: the guard's SHARED is left. */
  void leaveAlone() throws ErrnoException {
    database.tryLock(LockType.READ, LockBytes.SHARED_FIRST, LockBytes.SHARED_LENGTH);
    database.unlock(LockBytes.PENDING, reserved ? 1 : 2);
  }

  /** Who is in the way of {@link #acquireExclusive}, if anybody is. */
  Optional<LockHolder> blocker(boolean wal) throws ErrnoException {
    return wal
        ? shmFile().holder(LockType.WRITE, LockBytes.WAL_WRITE, WAL_LENGTH)
        : databaseFile().holder(LockType.WRITE, LockBytes.PENDING, ROLLBACK_LENGTH);
  }

  // ------------------------------------------------- while guarding

  /** Takes read locks {@code first} to {@code last} exclusively: nobody reads under them. */
  boolean lockReaders(int first, int last, Duration patience) throws ErrnoException {
    long start = LockBytes.walRead(first);
    long length = last - first + 1L;
    return shm.tryLock(LockType.WRITE, start, length)
        || (!patience.isZero() && shm.lock(LockType.WRITE, start, length, patience));
  }

  void unlockReaders(int first, int last) throws ErrnoException {
    shm.unlock(LockBytes.walRead(first), last - first + 1L);
  }

  /** One of those who are reading, if anybody is. */
  Optional<LockHolder> reader() throws ErrnoException {
    return shm.holder(LockType.WRITE, LockBytes.WAL_READ_0, LockBytes.WAL_READERS);
  }

  /** Reads the index as applications see it in their mappings. */
  void readIndex(ByteBuffer into, long offset) throws ErrnoException {
    shm.read(into, offset);
  }

  /** The index's header and checkpoint information; empty if it has not even these. */
  Optional<ByteBuffer> readIndexHead() throws ErrnoException {
    if (indexSize() < WalIndex.HEADER_SIZE) {
      return Optional.empty();
    }
    ByteBuffer head = ByteBuffer.allocateDirect(WalIndex.HEADER_SIZE);
    readIndex(head, 0);
    return Optional.of(head.flip());
  }

  /** Bytes of the index, as applications see it. */
  long indexSize() throws ErrnoException {
    return shm.size();
  }

  /** Waits until every page of the index that is being written back has arrived. */
  void syncIndex() throws ErrnoException {
    shm.sync();
  }

  private KeeperFile databaseFile() throws ErrnoException {
    if (database == null) {
      database = keepers.open(path, PosixFile.O_RDWR, 0);
    }
    return database;
  }

  private KeeperFile shmFile() throws ErrnoException {
    if (shm == null) {
      shm =
          keepers.open(
              path.resolveSibling(path.getFileName() + "-shm"),
              PosixFile.O_RDWR | PosixFile.O_CREAT,
              MODE);
    }
    return shm;
  }

  private static Duration left(long deadline) {
    return Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
  }

  /** Drops every lock on the index, and SHARED on the database, and forgets the index. */
  void closeWal() {
    if (shm != null) {
      shm.close();
      shm = null;
    }
    walGuarded = false;
  }

  /** Drops every lock and forgets the files; they are opened anew when needed. */
  void close() {
    closeWal();
    if (database != null) {
      database.close();
      database = null;
    }
    reserved = false;
  }
}

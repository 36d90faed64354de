package io.litefs.store;

import io.litefs.fuse.KeeperFile;
import io.litefs.fuse.Keepers;
import io.litefs.fuse.LockHolder;
import io.litefs.fuse.LockType;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.LockBytes;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * The daemon as one more SQLite process: takes the locks by which SQLite excludes others from a
 * database, through the daemon's own mount.
 *
 * <p>Source: SQLite's "File Locking And Concurrency", section 5, and the WAL-mode file format
 * document, section 2.3.
 *
 * <p>Used by one thread at a time. None of its methods may be called with a lock held that handlers
 * of the mount need.
 */
final class DatabaseLocks {

  private static final int MODE = 0666;
  private static final long ROLLBACK_LENGTH = 2 + LockBytes.SHARED_LENGTH;
  private static final long WAL_LENGTH = 3 + LockBytes.WAL_READERS;

  private final Keepers keepers;
  private final Path path;
  private KeeperFile database;
  private KeeperFile shm;
  private boolean walGuarded;

  DatabaseLocks(Keepers keepers, Path pathInMount) {
    this.keepers = keepers;
    this.path = pathInMount;
  }

  /**
   * Shuts everybody else out of the database: readers and writers.
   *
   * <p>Rollback journal: RESERVED (no writer is at work), PENDING (no new reader comes), then all
   * of SHARED as the readers leave. WAL: the write, checkpoint and recovery locks, then each read
   * lock.
   *
   * @param patience how long to wait in all
   * @return false if time was up; no lock is held then
   */
  boolean acquireExclusive(boolean wal, Duration patience) throws ErrnoException {
    long deadline = System.nanoTime() + patience.toNanos();
    boolean done = false;
    try {
      done = wal ? acquireWal(deadline) : acquireRollback(deadline);
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
        shm.unlock(LockBytes.WAL_WRITE, WAL_LENGTH);
      }
    } else if (database != null) {
      database.unlock(LockBytes.PENDING, ROLLBACK_LENGTH);
    }
  }

  /**
   * Stays connected to a WAL database, as an application with an open connection does: SHARED on
   * the database and on the shm's DMS byte. So no application's last close removes the WAL, and
   * none resets the index.
   *
   * @return false if somebody held the database exclusively for as long as {@code patience}
   */
  boolean guardWal(Duration patience) throws ErrnoException {
    if (!walGuarded) {
      long deadline = System.nanoTime() + patience.toNanos();
      walGuarded =
          databaseFile()
                  .lock(
                      LockType.READ,
                      LockBytes.SHARED_FIRST,
                      LockBytes.SHARED_LENGTH,
                      left(deadline))
              && shmFile().lock(LockType.READ, LockBytes.SHM_DMS, 1, left(deadline));
    }
    return walGuarded;
  }

  /** Who is in the way of {@link #acquireExclusive}, if anybody is. */
  Optional<LockHolder> blocker(boolean wal) throws ErrnoException {
    return wal
        ? shmFile().holder(LockType.WRITE, LockBytes.WAL_WRITE, WAL_LENGTH)
        : databaseFile().holder(LockType.WRITE, LockBytes.PENDING, ROLLBACK_LENGTH);
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

  /** Drops every lock and forgets the files; they are opened anew when needed. */
  void close() {
    if (shm != null) {
      shm.close();
      shm = null;
    }
    if (database != null) {
      database.close();
      database = null;
    }
    walGuarded = false;
  }
}

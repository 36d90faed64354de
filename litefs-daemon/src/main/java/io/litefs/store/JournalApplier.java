package io.litefs.store;

import io.litefs.fuse.KernelCache;
import io.litefs.fuse.LockHolder;
import io.litefs.ltx.LtxHeader;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;

/**
 * Applies transactions in place, under the locks that a writer with a rollback journal takes:
 * RESERVED, PENDING, so that no new reader comes while those inside end, EXCLUSIVE. A rollback
 * journal database has one version of each page, so readers and writers must wait for each other.
 *
 * <p>What fails half-way is not undone: the transaction is in the log and is to be applied again.
 * Until then the locks stay, since the file holds pages of two positions.
 */
final class JournalApplier implements TransactionApplier {

  private final Database database;
  private final DatabaseLocks locks;
  private final AppliedState applied;

  JournalApplier(Database database, DatabaseLocks locks, AppliedState applied) {
    this.database = database;
    this.locks = locks;
    this.applied = applied;
  }

  @Override
  public boolean apply(ReceivedTransaction transaction, Duration patience) throws IOException {
    if (!locks.acquireExclusive(false, patience)) {
      return false;
    }
    try {
      database.stable.writeLock().lock();
      try {
        write(database, transaction, true);
        applied.publish(transaction);
      } finally {
        database.stable.writeLock().unlock();
      }
    } finally {
      if (!database.isHalfApplied()) {
        locks.releaseExclusive(false);
      }
    }
    return true;
  }

  @Override
  public Optional<LockHolder> blocker() throws ErrnoException {
    return locks.blocker(false);
  }

  /**
   * Writes the pages into the database file and gives it its size. If there is no space for it to
   * grow, nothing has changed; after any other error {@link Database#isHalfApplied} says so.
   */
  static void write(Database database, ReceivedTransaction transaction, boolean tellKernel)
      throws IOException {
    BackingFile file = database.file(FileKind.DATABASE);
    KernelCache cache = database.kernelCache();
    LtxHeader header = transaction.header();
    int pageSize = header.pageSize();
    PosixFile target = file.file();
    long size = header.commit() * pageSize;
    // No journal would bring back what is overwritten: the log must be able to go on from it.
    database.log().sync();
    makeRoom(target, size);
    database.beginApplying();
    transaction.forEachPage(
        (pgno, page) -> {
          long offset = (pgno - 1) * pageSize;
          target.pwrite(page, offset);
          if (tellKernel) {
            page.flip();
            cache.store(database.name(), offset, page);
          }
        });
    long actual = target.size();
    if (actual != size) {
      target.truncate(size);
      if (tellKernel) {
        cache.invalidate(database.name(), Math.min(size, actual), 0);
      }
    }
    file.touch();
  }

  private static void makeRoom(PosixFile target, long size) throws ErrnoException {
    long actual = target.size();
    if (size <= actual) {
      return;
    }
    try {
      target.allocate(actual, size - actual);
    } catch (ErrnoException e) {
      if (e.errno() == Errno.EOPNOTSUPP) {
        return;
      }
      try {
        target.truncate(actual); // It may have got some of it.
      } catch (ErrnoException again) {
        e.addSuppressed(again);
      }
      throw e;
    }
  }
}

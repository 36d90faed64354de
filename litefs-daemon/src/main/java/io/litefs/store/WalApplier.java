package io.litefs.store;

import io.litefs.fuse.LockHolder;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.WalIndex;
import io.litefs.sqlite.WalIndexHeader;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ScheduledExecutorService;

/**
 * Applies transactions as the one writer of the replica's WAL: readers neither wait nor are waited
 * for. Only a transaction that changes the page size needs them gone for a moment, since a WAL has
 * one page size: it is written in place, under every WAL lock.
 *
 * <p>The WAL is taken over with the first transaction, and is the daemon's until {@link #release},
 * {@link #discard} or {@link #leave}.
 */
final class WalApplier implements TransactionApplier {

  private final Database database;
  private final DatabaseLocks locks;
  private final AppliedState applied;
  private final ScheduledExecutorService checkpoints;
  private final long limitBytes;

  /** Both null until the WAL is taken over. */
  private ReplicaWal wal;

  private ReplicaCheckpointer checkpointer;

  /** Whether readers must leave for the transaction in hand. */
  private boolean needsReadersGone;

  /**
   * @param checkpoints see {@link Maintenance#checkpoints}
   * @param limitBytes see {@link StoreOptions#replicaWalLimit}
   */
  WalApplier(
      Database database,
      DatabaseLocks locks,
      AppliedState applied,
      ScheduledExecutorService checkpoints,
      long limitBytes) {
    this.database = database;
    this.locks = locks;
    this.applied = applied;
    this.checkpoints = checkpoints;
    this.limitBytes = limitBytes;
  }

  /**
   * Takes the WAL over if it is not ours already, in whatever state applications or a time as
   * primary have left it.
   *
   * @return false if applications stood in the way for as long as {@code patience}
   */
  boolean takeOver(Duration patience) throws IOException {
    if (wal == null) {
      if (!locks.guardWal(patience)) {
        return false;
      }
      wal = ReplicaWal.takeOver(database, locks);
      if (wal != null) {
        sayThatItIsOurs();
        startCheckpointer();
      }
    }
    return wal != null;
  }

  /**
   * Makes a WAL for a database that has none, and whose header does not ask for one. Who is reading
   * without a WAL looks at the database file alone, so nobody may be.
   *
   * @return false if applications stood in the way for as long as {@code patience}
   */
  boolean begin(Duration patience) throws IOException {
    if (!locks.acquireExclusive(false, patience)) {
      return false;
    }
    try {
      return takeOver(patience);
    } finally {
      if (locks.isGuarded()) {
        locks.leaveAlone();
      } else {
        locks.releaseExclusive(false);
      }
    }
  }

  /**
   * Whether a reader that comes while the WAL's locks are held can begin: without a valid index it
   * would have to recover that, which needs them. Then the WAL need not be taken over at once.
   */
  boolean isReadable() throws ErrnoException {
    Optional<WalIndexHeader> index = locks.readIndexHead().flatMap(WalIndex::readHeader);
    return index.isPresent() && database.wal().isOf(index.get());
  }

  /**
   * Recovery must never take our frames for an application's, and they come with the next
   * transaction.
   */
  private void sayThatItIsOurs() throws IOException {
    boolean done = false;
    try {
      database.bases().walIsApplied();
      done = true;
    } finally {
      if (!done) {
        wal.release();
        wal = null;
      }
    }
  }

  @Override
  public boolean apply(ReceivedTransaction transaction, Duration patience) throws IOException {
    if (!takeOver(patience)) {
      return false;
    }
    if (checkpointer.isClosed() && !database.isHalfApplied()) {
      startCheckpointer(); // See prepareRelease.
    }
    needsReadersGone =
        transaction.header().pageSize() != wal.pageSize() || database.isHalfApplied();
    if (needsReadersGone) {
      return replace(transaction, patience);
    }
    wal.mutex.lock();
    try {
      wal.append(transaction);
      applied.publish(
          transaction,
          () -> {
            wal.commit();
            checkpointer.appended(wal.committed());
          });
    } finally {
      wal.mutex.unlock();
    }
    return true;
  }

  private boolean replace(ReceivedTransaction transaction, Duration patience) throws IOException {
    checkpointer.close();
    try {
      if (!locks.acquireExclusive(true, patience)) {
        return false;
      }
      try {
        database.stable.writeLock().lock();
        wal.mutex.lock();
        try {
          // Readers are gone, so the WAL, whose frames are of the old size, is nobody's.
          JournalApplier.write(database, transaction, true);
          database.file(FileKind.DATABASE).file().fdatasync();
          wal.restart(transaction.header().pageSize(), transaction.header().commit());
          applied.publish(transaction);
        } finally {
          wal.mutex.unlock();
          database.stable.writeLock().unlock();
        }
      } finally {
        // As in JournalApplier: of what failed half-way nobody may see anything.
        if (!database.isHalfApplied()) {
          locks.releaseExclusive(true);
        }
      }
    } finally {
      if (!database.isHalfApplied()) {
        startCheckpointer();
      }
    }
    return true;
  }

  @Override
  public Optional<LockHolder> blocker() throws ErrnoException {
    boolean guarding = locks.isGuarded();
    return guarding && (wal == null || needsReadersGone) ? locks.reader() : locks.guardBlocker();
  }

  /**
   * If nobody else has the database open, copies all of the WAL into the database file and removes
   * it, so that the next to open it uses the journal mode of its header.
   *
   * @return whether it is so; then EXCLUSIVE is held on the database file
   */
  boolean leave() throws IOException {
    if (wal == null || !locks.tryAlone()) {
      return false;
    }
    checkpointer.close();
    boolean left = false;
    try {
      if (checkpointer.finish()) {
        remove();
        left = true;
      } // Else a snapshot is being made; with the next transaction, then.
    } finally {
      if (!left) {
        stay();
      }
    }
    return left;
  }

  private void remove() throws IOException {
    discard();
    database.wal().unlink();
    database.wal().unlinkIndex();
    database.kernelCache().invalidateEntry(database.name() + "-wal");
    database.kernelCache().invalidateEntry(database.name() + "-shm");
  }

  /** Gives back what {@link #leave} has taken: nobody may be shut out by what failed. */
  private void stay() throws ErrnoException {
    if (wal == null) {
      if (!database.isHalfApplied()) {
        locks.releaseExclusive(false); // The guard is gone already.
      }
    } else {
      locks.leaveAlone();
      startCheckpointer();
    }
  }

  /** The database is about to be removed. */
  void discard() {
    if (wal != null) {
      checkpointer.close();
      wal.discard();
      wal = null;
    }
    locks.closeWal();
  }

  /** Ends what goes on in the background; the locks stay. */
  void standStill() {
    if (checkpointer != null) {
      checkpointer.close();
    }
  }

  /**
   * Does ahead of {@link #release} what that would have to wait for. If there is something to apply
   * after all, that undoes it.
   */
  void prepareRelease() {
    if (wal != null) {
      checkpointer.close();
      wal.awaitWriteBack();
    }
  }

  /**
   * Hands the WAL over to applications, or to the next who takes it over: what is there is a normal
   * WAL with a normal index, and the capture stands at its end. Drops the locks.
   */
  void release() {
    try {
      if (wal != null) {
        checkpointer.close();
        wal.release();
        wal = null;
      }
    } finally {
      locks.close();
    }
  }

  private void startCheckpointer() {
    checkpointer = new ReplicaCheckpointer(database, locks, wal, checkpoints, limitBytes);
  }
}

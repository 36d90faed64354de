package io.litefs.store;

import io.litefs.fuse.LockHolder;
import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxHeader;
import io.litefs.posix.ErrnoException;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Verifies received transactions and applies them to a replica's database as one more SQLite
 * process: under SQLite's own locks, with the kernel's page cache told.
 *
 * <p>Which way a transaction goes depends on the connections that there may be, not on what the
 * database's header says. When a transaction takes the database out of WAL mode, connections stay
 * in it until they are closed, hold SHARED all the time, and take WAL locks; and SQLite opens any
 * database that has a WAL which is not empty in WAL mode. So once there is a WAL, transactions go
 * through it, and before each one of a database whose header does not ask for a WAL it is looked
 * whether anybody still has it open. If not, the WAL goes.
 *
 * <p>Connections without a WAL see by the change counter that the database has changed. An
 * application with {@code locking_mode=EXCLUSIVE} on the primary does not count its transactions,
 * since nobody reads there. So such a transaction goes through a WAL: connections find it with
 * their next transaction. It stays until there is a transaction that they would notice without.
 *
 * <p>Used by one thread at a time; see {@link ReplicaDatabase}.
 */
final class Applier {

  private static final Logger logger = LoggerFactory.getLogger(Applier.class);
  private static final long FLAG = 1L << 63;

  private final Database database;
  private final DatabaseLocks locks;
  private final AppliedState applied;
  private final JournalApplier throughFile;
  private final WalApplier throughWal;

  Applier(Store store, Database database) {
    this.database = database;
    this.locks =
        new DatabaseLocks(
            store.keepers(),
            store.mountPoint().resolve(database.name()),
            nanos -> store.observer().waitedForLocks(nanos));
    this.applied = new AppliedState(database, store.options().strictVerify());
    this.throughFile = new JournalApplier(database, locks, applied);
    this.throughWal =
        new WalApplier(
            database, locks, applied, store.checkpoints(), store.options().replicaWalLimit());
  }

  /**
   * Checks that the transaction leads from the database's position to its own, page checksums
   * included.
   *
   * @throws StoreException if it does not: this node's history is another one
   */
  void verify(ReceivedTransaction transaction) throws IOException {
    DatabaseState before = database.state();
    LtxHeader header = transaction.header();
    if (!header.isSnapshot()
        && !(header.minTxid().value() == before.pos().txid().value() + 1
            && header.preApply().equals(before.pos().checksum()))) {
      throw new StoreException(
          "%s: transaction %s does not follow position %s"
              .formatted(database.name(), header.minTxid(), before.pos()));
    }
    boolean whole = AppliedState.replacesAll(header, before);
    long sum = whole ? 0 : before.pos().checksum().value() & ~FLAG;
    PageTable checksums = database.checksums();
    PageTable received = transaction.checksums();
    for (long pgno = received.next(1); pgno != 0; pgno = received.next(pgno + 1)) {
      long old = whole || pgno > before.pageCount() ? 0 : checksums.get(pgno);
      sum ^= (old ^ received.get(pgno)) & ~FLAG;
    }
    for (long pgno = header.commit() + 1; !whole && pgno <= before.pageCount(); pgno++) {
      sum ^= checksums.get(pgno) & ~FLAG;
    }
    Checksum expected = transaction.pos().checksum();
    if ((sum | FLAG) != expected.value()) {
      throw new StoreException(
          "%s: transaction %s would lead to checksum %016x, not %s"
              .formatted(database.name(), header.maxTxid(), sum | FLAG, expected));
    }
  }

  /**
   * Applies a transaction that {@link #verify} has just accepted.
   *
   * @param patience how long to wait for applications to leave the database
   * @return false if they did not; nothing has changed then
   */
  boolean apply(ReceivedTransaction transaction, Duration patience) throws IOException {
    if (transaction.header().commit() == 0) {
      applyDrop(transaction);
      return true;
    }
    if (database.unfinished().isThere() && !rollBack(patience)) {
      return false;
    }
    if (database.file(FileKind.DATABASE) == null) {
      applyFirst(transaction);
      return true;
    }
    // Who left the WAL must not take what he has in his page cache for what is there.
    boolean noticed =
        database.isWal()
            || database.isHalfApplied()
            || transaction.isNoticedAfter(FileVersion.of(database.file(FileKind.DATABASE)));
    if (!database.isWal() && noticed && throughWal.leave()) {
      return throughFile.apply(transaction, Duration.ZERO);
    }
    if (!noticed && way() == throughFile && !throughWal.begin(patience)) {
      return false;
    }
    boolean done = way().apply(transaction, patience);
    if (done && !database.isWal() && noticed && throughWal.leave()) {
      locks.releaseExclusive(false); // The transaction has just taken it out of WAL mode.
    }
    return done;
  }

  /** Nobody can have it open: the kernel does not know the name yet. */
  private void applyFirst(ReceivedTransaction transaction) throws IOException {
    database.acquire(FileKind.DATABASE, true).release();
    try {
      JournalApplier.write(database, transaction, false);
      applied.publish(transaction);
    } finally {
      if (!database.pos().equals(transaction.pos())) {
        removeFiles();
      }
    }
    database.kernelCache().invalidateEntry(database.name());
  }

  private void removeFiles() throws IOException {
    database.stable.writeLock().lock();
    try {
      database.lock.lock();
      try {
        database.removeFiles();
      } finally {
        database.lock.unlock();
      }
    } finally {
      database.stable.writeLock().unlock();
    }
    tellThatFilesAreGone();
  }

  /**
   * The kernel must not take the files of a new database of this name, which may follow at once,
   * for those that somebody still has open.
   */
  private void tellThatFilesAreGone() {
    for (String suffix : List.of("", "-wal", "-shm", "-journal")) {
      database.kernelCache().invalidateEntry(database.name() + suffix);
    }
  }

  private TransactionApplier way() throws ErrnoException {
    return database.isWal() || hasWal() ? throughWal : throughFile;
  }

  /** An empty one, as a full disk can leave behind, is none: who comes does not look into it. */
  private boolean hasWal() throws ErrnoException {
    BackingFile file = database.file(FileKind.WAL);
    return file != null && file.size() > 0;
  }

  /** Open files stay usable for their holders, as on any filesystem, so no lock is needed. */
  private void applyDrop(ReceivedTransaction transaction) throws IOException {
    throughWal.discard();
    locks.close();
    database.stable.writeLock().lock();
    try {
      database.lock.lock();
      try {
        database.checksums().clear();
        LtxHeader header = transaction.header();
        database.publish(
            new DatabaseState(transaction.pos(), header.pageSize(), 0),
            false,
            header.timestampMillis());
        // Last: who finds the name gone must not be given the database by an export.
        database.removeFiles();
      } finally {
        database.lock.unlock();
      }
    } finally {
      database.stable.writeLock().unlock();
    }
    tellThatFilesAreGone();
  }

  /**
   * Takes over the WAL of a node that was primary until now, so that no application can write to it
   * any more.
   *
   * @return false if applications stood in the way for as long as {@code patience}
   */
  boolean takeOver(Duration patience) throws IOException {
    if (database.unfinished().isThere() && !rollBack(patience)) {
      return false;
    }
    if (database.file(FileKind.DATABASE) == null) {
      return true;
    }
    if (way() == throughFile) {
      cut();
    } else if (!throughWal.takeOver(patience)) {
      return false;
    }
    locks.unreserve(); // What a handoff held: from now on writers are told.
    return true;
  }

  /** SQLite cuts the file when its transaction is committed already, and may have died before. */
  private void cut() throws IOException {
    long size;
    database.lock.lock();
    try {
      DatabaseState state = database.state();
      BackingFile file = database.file(FileKind.DATABASE);
      size = state.pageCount() * state.pageSize();
      if (!state.exists() || file.size() <= size || database.isMidTransaction()) {
        return;
      }
      file.file().truncate(size);
    } finally {
      database.lock.unlock();
    }
    database.kernelCache().invalidate(database.name(), size, 0);
  }

  /** Undoes the transaction that an application of a former primary had begun. */
  private boolean rollBack(Duration patience) throws IOException {
    if (!locks.acquireExclusive(false, patience)) {
      return false;
    }
    try {
      database.unfinished().rollBack();
    } finally {
      locks.releaseExclusive(false);
    }
    return true;
  }

  /**
   * On a primary: takes the locks by which a writer keeps other writers out, and keeps them until
   * {@link #close} or, if this node becomes a replica, {@link #takeOver}. Readers go on.
   *
   * @param patience how long to wait for a writer
   * @return false if it did not end; {@link #close} is to follow
   */
  boolean keepWritersOut(Duration patience) throws IOException {
    long deadline = System.nanoTime() + patience.toNanos();
    while (true) {
      TransactionApplier way = way();
      // RESERVED in either mode: nobody changes the mode once it is held.
      if (!locks.reserve(left(deadline))) {
        return false;
      }
      if (way == way()) {
        if (!rollBackHotJournal(left(deadline))
            || (way == throughWal && !locks.guardWal(left(deadline)))) {
          return false;
        }
        database.settledPos(); // The writer that was waited for may just have committed.
        if (way == throughFile) {
          return true;
        }
        database.wal().restoreUnseen(); // As long as this node may commit.
        return throughWal.isReadable() || throughWal.takeOver(left(deadline));
      }
      locks.close(); // The mode has changed while this waited for the writer that changed it.
    }
  }

  /**
   * While RESERVED is held, connections take a journal for that of a living writer, read what is
   * there, and roll back nothing.
   */
  private boolean rollBackHotJournal(Duration patience) throws IOException {
    if (!database.unfinished().hasHotJournal()) {
      return true;
    }
    if (!locks.acquireExclusive(false, patience)) {
      return false;
    }
    try {
      database.unfinished().rollBackHotJournal();
    } finally {
      locks.releaseExclusive(false);
    }
    return true;
  }

  private static Duration left(long deadline) {
    return Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
  }

  /** Who is in the way of {@link #keepWritersOut}, if anybody is. */
  Optional<LockHolder> writer() {
    try {
      Optional<LockHolder> writer = locks.writer();
      return writer.isPresent() || way() == throughFile ? writer : locks.guardBlocker();
    } catch (ErrnoException e) {
      logger.debug("cannot ask who writes to {}", database.name(), e);
      return Optional.empty();
    }
  }

  /**
   * While writers are kept out: makes sure that {@link #apply} of this transaction need not wait.
   *
   * @return false if readers did not leave in time; nothing has changed then
   */
  boolean keepReadersOut(ReceivedTransaction transaction, Duration patience) throws IOException {
    return !needsReadersGone(transaction) || locks.acquireExclusive(way() == throughWal, patience);
  }

  /** Undoes {@link #keepReadersOut}: the transaction is not applied. */
  void letReadersIn(ReceivedTransaction transaction) throws IOException {
    if (needsReadersGone(transaction)) {
      locks.releaseExclusive(way() == throughWal);
    }
  }

  private boolean needsReadersGone(ReceivedTransaction transaction) throws ErrnoException {
    return way() == throughFile || transaction.header().pageSize() != database.pageSize();
  }

  /** Who keeps the applier from its work, if anybody does. */
  Optional<LockHolder> blocker() {
    try {
      return way().blocker();
    } catch (ErrnoException e) {
      logger.debug("cannot ask who holds {}", database.name(), e);
      return Optional.empty();
    }
  }

  /** Nothing changes from now on; the locks stay as long as the mount. */
  void standStill() {
    throughWal.standStill();
  }

  /** See {@link WalApplier#prepareRelease}. */
  void prepareToClose() {
    throughWal.prepareRelease();
  }

  /**
   * Drops the locks. What is there is an ordinary database: applications can go on with it if the
   * node becomes primary.
   */
  void close() {
    throughWal.release();
  }
}

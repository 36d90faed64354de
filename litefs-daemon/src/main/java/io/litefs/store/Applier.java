package io.litefs.store;

import io.litefs.fuse.KernelCache;
import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.Wal;
import io.litefs.sqlite.WalHeader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Applies received transactions to a replica's database as one more SQLite process: under SQLite's
 * own locks, with the kernel's page cache told.
 *
 * <p>Rollback-journal databases are written in place under an EXCLUSIVE lock. WAL databases too,
 * under every WAL lock, with a wal-index that says "empty WAL, new content" afterwards ({@link
 * WalIndexPublisher}): readers wait meanwhile. Which of the two it is depends on the connections
 * that there are, see {@link #stayInWal}.
 *
 * <p>Used by one thread at a time; see {@link ReplicaDatabase}.
 */
final class Applier {

  private static final Logger logger = LoggerFactory.getLogger(Applier.class);
  private static final long FLAG = 1L << 63;

  private final Database database;
  private final DatabaseLocks locks;
  private final WalIndexPublisher walIndex;
  private final boolean strictVerify;
  private final SecureRandom random = new SecureRandom();

  /** Whether connections may be in WAL mode although the database's header says otherwise. */
  private boolean walConnections;

  private final ByteBuffer buffer = ByteBuffer.allocateDirect(Database.MAX_PAGE_SIZE);

  Applier(Store store, Database database) {
    this.database = database;
    this.strictVerify = store.options().strictVerify();
    this.locks = new DatabaseLocks(store.keepers(), store.mountPoint().resolve(database.name()));
    this.walIndex = new WalIndexPublisher(database);
    BackingFile wal = database.file(FileKind.WAL);
    this.walConnections = wal != null && !database.isWal();
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
    boolean whole = replacesAll(header, before);
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

  private static boolean replacesAll(LtxHeader header, DatabaseState before) {
    return header.isSnapshot() || header.pageSize() != before.pageSize() || before.pageCount() == 0;
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
    if (database.file(FileKind.DATABASE) == null) {
      // Nobody can have it open: the kernel does not know the name yet.
      database.acquire(FileKind.DATABASE, true).release();
      write(transaction, false);
      publish(transaction);
      database.kernelCache().invalidateEntry(database.name());
      return true;
    }
    boolean wal = database.isWal() || walConnections;
    if (walConnections && !database.isWal() && leaveWal()) {
      wal = false;
    }
    if (wal && !locks.guardWal(patience) || !locks.acquireExclusive(wal, patience)) {
      return false;
    }
    try {
      if (wal) {
        stayInWal(transaction);
      }
      database.stable.writeLock().lock();
      try {
        write(transaction, true);
        if (wal) {
          database.ownWalIndex(true);
          walIndex.publishEmptyWal(transaction.header().pageSize(), transaction.header().commit());
        }
        publish(transaction);
      } finally {
        database.stable.writeLock().unlock();
      }
    } finally {
      locks.releaseExclusive(wal);
    }
    return true;
  }

  /**
   * A transaction that takes the database out of WAL mode: the applications' connections stay in it
   * until they are closed, hold SHARED all the time, and take WAL locks. As long as there may be
   * one, every connection is kept in WAL mode: SQLite opens a database so whatever its header says
   * if there is a WAL that is not empty. So there is one, of a header without frames.
   */
  private void stayInWal(ReceivedTransaction transaction) throws IOException {
    walConnections = !transaction.saysWal(database.isWal());
    if (!walConnections) {
      return;
    }
    String walName = database.name() + "-wal";
    BackingFile file = database.acquire(FileKind.WAL, true);
    try {
      if (file.size() == 0) {
        ByteBuffer header = ByteBuffer.allocateDirect(Wal.HEADER_SIZE);
        WalHeader.create(transaction.header().pageSize(), random.nextInt(), random.nextInt())
            .encode(header);
        file.file().pwrite(header.flip(), 0);
        database.kernelCache().store(walName, 0, header.flip());
      }
    } finally {
      file.release();
    }
    database.kernelCache().invalidateEntry(walName);
  }

  /**
   * If nobody has the database open any more, the next to open it uses the journal mode of its
   * header. Holds the EXCLUSIVE lock if it succeeds.
   */
  private boolean leaveWal() throws IOException {
    walIndex.disown();
    locks.close();
    if (!locks.acquireExclusive(false, Duration.ZERO)) {
      return false;
    }
    database.unlinkWal();
    database.unlinkShm();
    database.kernelCache().invalidateEntry(database.name() + "-wal");
    database.kernelCache().invalidateEntry(database.name() + "-shm");
    walConnections = false;
    return true;
  }

  private void write(ReceivedTransaction transaction, boolean tellKernel) throws IOException {
    BackingFile file = database.file(FileKind.DATABASE);
    KernelCache cache = database.kernelCache();
    LtxHeader header = transaction.header();
    int pageSize = header.pageSize();
    PosixFile target = file.file();
    transaction.forEachPage(
        buffer,
        (pgno, page) -> {
          long offset = (pgno - 1) * pageSize;
          target.pwrite(page, offset);
          if (tellKernel) {
            page.flip();
            cache.store(database.name(), offset, page);
          }
        });
    long size = header.commit() * pageSize;
    long actual = target.size();
    if (actual != size) {
      target.truncate(size);
      if (tellKernel) {
        cache.invalidate(database.name(), Math.min(size, actual), 0);
      }
    }
    file.touch();
  }

  private void publish(ReceivedTransaction transaction) throws IOException {
    LtxHeader header = transaction.header();
    database.lock.lock();
    try {
      PageTable checksums = database.checksums();
      if (replacesAll(header, database.state())) {
        checksums.clear();
      }
      checksums.putAll(transaction.checksums());
      checksums.truncate(header.commit());
      if (strictVerify) {
        verifyAllPages(header, transaction.pos());
      }
      database.publish(
          new DatabaseState(transaction.pos(), header.pageSize(), header.commit()),
          database.fileIsWal(),
          header.timestampMillis());
    } finally {
      database.lock.unlock();
    }
  }

  private void verifyAllPages(LtxHeader header, Pos pos) throws IOException {
    BackingFile file = database.file(FileKind.DATABASE);
    database.rebuildChecksums(
        header.pageSize(),
        header.commit(),
        pgno -> database.readPage(file, pgno, header.pageSize()));
    long actual = database.checksumOfPages(header.commit());
    if (actual != pos.checksum().value()) {
      throw new StoreException(
          "%s: after transaction %s its pages have checksum %016x, not %s"
              .formatted(database.name(), pos.txid(), actual, pos.checksum()));
    }
  }

  /** Open files stay usable for their holders, as on any filesystem, so no lock is needed. */
  private void applyDrop(ReceivedTransaction transaction) throws IOException {
    walConnections = false;
    walIndex.disown();
    locks.close();
    database.stable.writeLock().lock();
    try {
      database.lock.lock();
      try {
        database.removeFiles();
        database.checksums().clear();
        LtxHeader header = transaction.header();
        database.publish(
            new DatabaseState(transaction.pos(), header.pageSize(), 0),
            false,
            header.timestampMillis());
      } finally {
        database.lock.unlock();
      }
    } finally {
      database.stable.writeLock().unlock();
    }
    database.kernelCache().invalidateEntry(database.name());
  }

  /** Who keeps the applier from its work, in words. */
  String blocker() {
    try {
      Optional<io.litefs.fuse.LockHolder> holder =
          locks.blocker(database.isWal() || walConnections);
      return holder.map(Object::toString).orElse("nobody any more");
    } catch (ErrnoException e) {
      logger.debug("cannot ask who holds {}", database.name(), e);
      return "somebody";
    }
  }

  void close() {
    walIndex.disown();
    locks.close();
  }
}

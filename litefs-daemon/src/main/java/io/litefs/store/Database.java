package io.litefs.store;

import io.litefs.fuse.KernelCache;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.DatabaseHeader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One replicated database: its files, its log, its position, and on the primary the capture of
 * SQLite's file operations.
 *
 * <p>The rules by which file operations become transactions are SQLite's own; see {@code
 * docs/architecture.md}, "Capture".
 *
 * <p>What applications do to the database file arrives here, what they do to the files beside it in
 * {@link RollbackJournal} and {@link WriteAheadLog}; all of it becomes transactions here.
 *
 * <p>Two locks guard it. {@link #lock} guards all state; every operation that changes a file holds
 * it. {@link #stable} is taken first: shared by those who read the database as of one position
 * (snapshot, export), exclusively by those who overwrite what such a reader needs (the database
 * file, the beginning of the WAL). Reading requests take neither.
 */
public final class Database {

  private static final Logger logger = LoggerFactory.getLogger(Database.class);

  private final Store store;
  private final String name;
  private final DatabaseFiles files;
  private final DatabaseMetrics metrics = new DatabaseMetrics();
  private final LtxLog log;

  final ReentrantLock lock = new ReentrantLock();
  final ReentrantReadWriteLock stable = new ReentrantReadWriteLock();
  private final Condition changed = lock.newCondition();

  /** Checksum of each page, without the lock page. */
  private final PageTable checksums = new PageTable();

  private final PageReader pages;
  private final TransactionRecorder recorder;
  private final RollbackJournal journal;
  private final WriteAheadLog wal;

  private final WriteAccess access;
  private final PlainWrites plain;
  private final BaseKeeper bases;
  private final UnjournaledCapture unjournaledCapture;
  private final UnfinishedTransaction unfinished;
  private final StrayPages strayPages;

  /** Whether the database file was written to since it was last synced. */
  private volatile boolean unsyncedDatabase;

  private volatile DatabaseState state = DatabaseState.NONE;
  private volatile boolean walMode;

  /**
   * Whether the file has a part of a received transaction: what it holds belongs to no position.
   * Written under the lock.
   */
  private volatile boolean halfApplied;

  private volatile LockWait lockWait;
  private volatile long lastTransactionMillis;

  Database(Store store, String name, DatabaseFiles files, LtxLog log) {
    this.store = store;
    this.name = name;
    this.files = files;
    this.log = log;
    this.pages = new PageReader(name);
    this.access = new WriteAccess(store, this);
    this.recorder =
        new TransactionRecorder(log, checksums, store.options().compress(), store.nodeId(), access);
    this.wal = new WriteAheadLog(store, this);
    this.bases = new BaseKeeper(this);
    this.unjournaledCapture = new UnjournaledCapture(store, this);
    this.plain = new PlainWrites(this, unjournaledCapture);
    this.journal = new RollbackJournal(store, this);
    this.strayPages = new StrayPages(this);
    this.unfinished = new UnfinishedTransaction(this);
  }

  // ---------------------------------------------------------------- what it is

  public String name() {
    return name;
  }

  public Pos pos() {
    return state.pos();
  }

  /** Bytes; 0 before the first transaction. */
  public int pageSize() {
    return state.pageSize();
  }

  /** Size in pages as of the last transaction. */
  public long pageCount() {
    return state.pageCount();
  }

  /** Whether the database's header says write-ahead log. */
  public boolean isWal() {
    return walMode;
  }

  public long ltxCount() {
    return log.fileCount();
  }

  public long ltxBytes() {
    return log.byteCount();
  }

  /** Bytes of LTX files that were made or received since the daemon started. */
  public long ltxBytesAppended() {
    return log.appendedBytes();
  }

  /**
   * What a replica lacks that has this database at {@code replica}. Takes no lock; reads entries of
   * the log's directory.
   *
   * @param replica null if it has no such database
   */
  public Behind behind(Pos replica) {
    Pos here = pos();
    if (here.equals(replica) || here.equals(Pos.ZERO)) {
      return Behind.NOTHING;
    }
    long has = replica == null ? 0 : replica.txid().value();
    if (has == 0 || has >= here.txid().value()) {
      // It will be sent the whole database.
      return new Behind(
          Math.max(1, here.txid().value() - has),
          pageCount() * pageSize(),
          lastTransactionMillis());
    }
    return log.behind(has, here.txid().value());
  }

  /** When the last transaction was made, ms since the epoch; 0 if unknown. */
  public long lastTransactionMillis() {
    return lastTransactionMillis;
  }

  public DatabaseMetrics metrics() {
    return metrics;
  }

  DatabaseState state() {
    return state;
  }

  /** The database checksum that the pages' checksums make. */
  long checksumOfPages(long pageCount) {
    return checksums.xor(pageCount) | 1L << 63;
  }

  // ---------------------------------------------------------------- its parts

  LtxLog log() {
    return log;
  }

  PageTable checksums() {
    return checksums;
  }

  BaseKeeper bases() {
    return bases;
  }

  DatabaseFiles files() {
    return files;
  }

  /** Reads the database file. For who holds the lock. */
  PageReader pages() {
    return pages;
  }

  TransactionRecorder recorder() {
    return recorder;
  }

  /** Whether applications may write to it, and whether what they commit counts. */
  WriteAccess access() {
    return access;
  }

  /** The rollback journal. */
  public RollbackJournal journal() {
    return journal;
  }

  /** The WAL and its index. */
  public WriteAheadLog wal() {
    return wal;
  }

  /** What is written to the database file with neither. Guarded by the lock. */
  PlainWrites plain() {
    return plain;
  }

  /** What applications wrote and did not commit in time. */
  UnfinishedTransaction unfinished() {
    return unfinished;
  }

  /** Pages that do not hold what the position says. */
  StrayPages strayPages() {
    return strayPages;
  }

  boolean compresses() {
    return store.options().compress();
  }

  long nodeId() {
    return store.nodeId();
  }

  KernelCache kernelCache() {
    return store.kernelCache();
  }

  // ------------------------------------------------------------ waiting

  /** Waits until the position has reached {@code txid}. */
  public boolean awaitTxid(Txid txid, Duration timeout) throws InterruptedException {
    long nanos = timeout.toNanos();
    lock.lock();
    try {
      while (state.pos().txid().compareTo(txid) < 0) {
        if (nanos <= 0) {
          return false;
        }
        nanos = changed.awaitNanos(nanos);
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** The database has a new state. Caller holds the lock. */
  void publish(DatabaseState next, boolean nextWalMode, long timestampMillis) {
    state = next;
    walMode = nextWalMode;
    lastTransactionMillis = timestampMillis;
    halfApplied = false;
    metrics.commits.increment();
    changed.signalAll();
    store.published(
        new TransactionEvent(
            name,
            next.pos().txid(),
            next.pos().checksum(),
            next.pageSize(),
            next.pageCount(),
            timestampMillis));
  }

  /** Sets the state that recovery found. */
  void recovered(DatabaseState found, boolean wal, long timestampMillis) {
    lock.lock();
    try {
      state = found;
      walMode = wal;
      lastTransactionMillis = timestampMillis;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Whether a transaction of the application, or one that was received, is between its first write
   * to the database file and its end. Caller holds the lock.
   */
  boolean isMidTransaction() {
    return plain.areThere() || halfApplied || journal.isMidTransaction();
  }

  /**
   * Whether the database file has writes of a transaction that no journal could undo. Caller holds
   * the lock.
   */
  boolean isWrittenWithoutJournal() {
    return plain.areThere() || halfApplied;
  }

  /** Waits for a transaction to end. Caller holds the lock. */
  boolean awaitChange(long nanos) throws InterruptedException {
    return changed.awaitNanos(nanos) > 0;
  }

  /** Wakes who waits for a position or for the end of a transaction. Caller holds the lock. */
  void signalChange() {
    changed.signalAll();
  }

  // ------------------------------------------------- files come and go

  /** The file behind the mount's of this kind; null if it does not exist. */
  public BackingFile file(FileKind kind) {
    return files.get(kind);
  }

  /** Every file, retained, by the ordinal of its kind; null where there is none. */
  BackingFile[] retainFiles() {
    BackingFile[] retained = new BackingFile[FileKind.values().length];
    for (FileKind kind : FileKind.values()) {
      BackingFile file = files.get(kind);
      retained[kind.ordinal()] = file == null ? null : file.retain();
    }
    return retained;
  }

  /** Where a super-journal of this name lies. */
  public Path superJournal(String fileName) {
    return files.dir().resolve(fileName);
  }

  /**
   * Opens a file for a new handle of the mount, made first if {@code create}; null if it does not
   * exist.
   */
  public BackingFile acquire(FileKind kind, boolean create) throws ErrnoException {
    lock.lock();
    try {
      BackingFile file = files.get(kind);
      if (file == null && create) {
        file = files.create(kind);
        if (kind == FileKind.JOURNAL) {
          journal.reset();
        } else if (kind == FileKind.WAL) {
          wal.reset();
        } else if (kind == FileKind.DATABASE) {
          store.namesChanged(name);
        }
      }
      return file == null ? null : file.retain();
    } finally {
      lock.unlock();
    }
  }

  /** Drops the database: a transaction of its own if it ever had one. */
  public void drop() throws ErrnoException {
    store.requireWritable(name);
    access.requireNotHalted();
    change(
        true,
        () -> {
          if (state.exists()) {
            access.irrevocably(this::recordDrop);
          }
          removeFiles();
        });
    store.dropped(this);
  }

  /** Removes every file but the log. Caller holds both locks. */
  void removeFiles() throws IOException {
    for (FileKind kind : FileKind.values()) {
      files.remove(kind);
    }
    journal.reset();
    wal.reset();
    plain.forget();
    halfApplied = false;
    store.namesChanged(name);
  }

  // ------------------------------------------------- the database file

  public void writeDatabase(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    metrics.databaseWrites.increment();
    wal.captureBefore(); // before a checkpoint copies it
    change(
        true,
        () -> {
          if (file != files.get(FileKind.DATABASE)) {
            file.file().pwrite(from, offset);
            return;
          }
          if (journal.isActive()) {
            journal.beforeDatabaseWrite(file, from, offset);
          } else if (wal.isActive()) {
            wal.capture().beforeCheckpointWrite();
          } else {
            access.requireNotHalted();
            access.requireJournalIfForwarded();
            plain.writing(file, offset, from.remaining());
          }
          unsyncedDatabase = true;
          file.file().pwrite(from, offset);
          file.touch();
        });
  }

  /**
   * Before the WAL is overwritten or removed: what was copied from it into the database file must
   * be on disk, since the log need not go back that far. SQLite has synced it unless {@code
   * synchronous} is {@code OFF}. Caller holds the lock.
   */
  void beforeWalGoes() throws ErrnoException {
    BackingFile file = files.get(FileKind.DATABASE);
    if (unsyncedDatabase && file != null) {
      syncPages(file);
    }
  }

  /** The database file is on disk when this returns. */
  void syncPages(BackingFile file) throws ErrnoException {
    unsyncedDatabase = false;
    try {
      file.file().fdatasync();
    } catch (ErrnoException e) {
      unsyncedDatabase = true;
      throw e;
    }
  }

  /**
   * Cuts or extends the database file. SQLite cuts it to the size that the header says after the
   * commit, when there is no journal any more: that changes nothing.
   */
  public void truncateDatabase(BackingFile file, long size) throws ErrnoException {
    change(
        true,
        () -> {
          if (file == files.get(FileKind.DATABASE) && !wal.isActive()) {
            if (!journal.isActive()) {
              access.requireNotHalted();
              plain.truncating(file, size);
            } else {
              journal.beforeDatabaseTruncate(file, size);
            }
          }
          file.file().truncate(size);
          file.touch();
        });
  }

  /**
   * Whether the database was truncated to nothing and another one is being written in its place.
   */
  public boolean isArriving() {
    return plain.areArrival();
  }

  /**
   * Whether pages of a database that exists were written with neither journal nor WAL and are in no
   * transaction yet. May be out of date.
   */
  boolean hasUnjournaledTransaction() {
    return plain.areTransaction();
  }

  /** Makes them a transaction. The caller holds a SHARED lock: no writer is at work. */
  void captureUnjournaled() throws ErrnoException {
    change(
        true,
        () -> {
          BackingFile file = files.get(FileKind.DATABASE);
          if (hasUnjournaledTransaction()
              && file != null
              && !journal.isActive()
              && !wal.isActive()) {
            plain.commitIfComplete(file);
          }
        });
  }

  /**
   * The position, with everything that was written before this call and whose transaction has
   * ended. Not for threads that hold a lock which handlers of the mount need.
   */
  public Pos settledPos() {
    unjournaledCapture.captureNow();
    wal.captureNow();
    return pos();
  }

  /**
   * fsync(2) of the database file. With a WAL it is the end of a checkpoint, and the WAL may go
   * after it. Otherwise it is enough that the log gets to disk, here or at the commit that follows:
   * whatever a power cut leaves of the pages, recovery writes them again.
   */
  public void syncDatabase(BackingFile file) throws ErrnoException {
    lock.lock();
    try {
      if (file == files.get(FileKind.DATABASE) && isWritable()) {
        if (journal.isActive()) {
          journal.capture().databaseSynced();
        } else {
          plain.commitIfComplete(file);
        }
      }
    } catch (IOException e) {
      throw errnoOf(e);
    } finally {
      lock.unlock();
    }
    syncLog();
    if (isWal() || !store.isPrimary()) {
      syncPages(file);
    }
  }

  /**
   * A descriptor that wrote to the database was closed. What was written with neither journal nor
   * WAL becomes a transaction now, or an error if it is no database; {@code last} says that no more
   * can come from this handle. A transaction that another connection is writing is left to it.
   *
   * <p>The caller holds no lock.
   */
  public void closedAfterWriting(BackingFile file, boolean last) throws ErrnoException {
    unjournaledCapture.closed(free -> closed(file, last, free));
  }

  /** Another connection's transaction may begin at any moment until the lock is held here. */
  private boolean closed(BackingFile file, boolean last, boolean free) throws ErrnoException {
    boolean[] done = {true};
    change(
        true,
        () -> {
          if (!free && plain.areTransaction()) {
            done[0] = false;
          } else if (file == files.get(FileKind.DATABASE)
              && !journal.isActive()
              && !wal.isActive()) {
            plain.closed(file, last);
          }
        });
    return done[0];
  }

  /** The file has another content than the kernel knows. Called in a handler. */
  void contentChangedInHandler() {
    kernelCache().later(() -> kernelCache().invalidate(name, 0, 0));
  }

  /** A file that never was a database goes. Called in a handler, which holds both locks. */
  void removeNeverWritten() throws IOException {
    removeFiles();
    kernelCache().later(() -> kernelCache().invalidateEntry(name));
    store.dropped(this);
  }

  // ------------------------------------------------- the commit

  /** Records the transaction that leads to what the file holds. Caller holds the lock. */
  void recordFromFile(BackingFile file, DatabaseHeader header, PageTable touched)
      throws IOException {
    recordFromFile(file, header, touched, false);
  }

  private void recordFromFile(
      BackingFile file, DatabaseHeader header, PageTable touched, boolean durably)
      throws IOException {
    int pageSize = header.pageSize();
    long pageCount = header.pageCount(file.size());
    TransactionRecorder.Recorded recorded =
        recorder.record(
            state,
            pageSize,
            pageCount,
            touched,
            pgno -> pages.page(file, pgno, pageSize),
            TransactionRecorder.WalRange.NONE);
    if (recorded == null) {
      return;
    }
    if (durably) {
      recorded.appendDurably();
    } else {
      recorded.append();
    }
    accept(recorded, header.isWal());
  }

  /**
   * Makes a transaction of a file that takes the place of another, which goes once this returns.
   * Caller holds the lock.
   */
  void recordWhole(BackingFile file, DatabaseHeader header) throws IOException {
    recordFromFile(file, header, PageTable.range(header.pageCount(file.size())), true);
  }

  /** Records that there is no database any more. Caller holds the lock. */
  void recordDrop() throws IOException {
    TransactionRecorder.Recorded recorded = recorder.recordDrop(state);
    recorded.appendDurably();
    accept(recorded, false);
  }

  /** An appended transaction is the database's new state. Caller holds the lock. */
  void accept(TransactionRecorder.Recorded recorded, boolean nextWalMode) {
    recorded.accept();
    publish(recorded.after(), nextWalMode, recorded.timestamp());
    store.observer().committed(System.nanoTime() - recorded.begunNanos(), recorded.bytes());
  }

  /** The log is on disk when this returns. */
  void syncLog() throws ErrnoException {
    long start = System.nanoTime();
    log.sync();
    store.observer().synced(System.nanoTime() - start);
  }

  /**
   * Recovery: makes a transaction of the file as it is; of a database without a log, the first one.
   */
  void recordUnlogged(BackingFile file, DatabaseHeader header) throws IOException {
    lock.lock();
    try {
      recordFromFile(file, header, new PageTable());
    } finally {
      lock.unlock();
    }
  }

  // ------------------------------------------------- on a replica

  /**
   * A received transaction is about to be written over the database file. Until the next position
   * is published, nobody may read the file, or take it for what the position says.
   */
  void beginApplying() {
    lock.lock();
    try {
      halfApplied = true;
    } finally {
      lock.unlock();
    }
  }

  /** Whether a transaction that {@link #beginApplying began} has not been published. */
  boolean isHalfApplied() {
    return halfApplied;
  }

  /** Whom applying waits for; null if it does not wait. */
  public LockWait lockWait() {
    return lockWait;
  }

  void waitsFor(LockWait wait) {
    lockWait = wait;
  }

  // ------------------------------------------------- the change of role

  /** Waits until no transaction of an application is being committed. */
  void awaitCommit() {
    lock.lock();
    lock.unlock();
  }

  /** As {@link #awaitCommit()}; false if it takes longer than {@code nanos}. */
  boolean awaitCommit(long nanos) {
    try {
      if (!lock.tryLock(nanos, TimeUnit.NANOSECONDS)) {
        return false;
      }
      lock.unlock();
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /**
   * Nothing is committed here from now on: waits for the commit that is under way. What the log has
   * and readers here do not see no transaction of this node will restore.
   */
  void endCommits() {
    lock.lock();
    try {
      access.takingBack(false);
      if (wal.capture().hasUnseen()) {
        strayPages.onlyTheLogHas(wal.capture().unseen());
      }
    } finally {
      lock.unlock();
    }
  }

  /** Gives the space free that is kept for what must be written. */
  void releaseReserve() {
    store.reserve().release();
  }

  /**
   * Whether the log has a transaction that nobody here sees: one that failed and is yet to be taken
   * back, by a rollback, another transaction or a snapshot.
   */
  boolean differsFromLog() {
    lock.lock();
    try {
      return strayPages.areBehindLog() || wal.capture().hasUnseen() || journal.capture().isLogged();
    } finally {
      lock.unlock();
    }
  }

  // ------------------------------------------------- changing

  @FunctionalInterface
  interface Change {
    void run() throws IOException;
  }

  /**
   * Runs a change of the application's under the locks it needs, if this node may be written to.
   */
  void change(boolean overwrites, Change change) throws ErrnoException {
    // Before any lock: a refused write must not wait for an apply that waits for the page this
    // write has locked.
    requireChangeable();
    if (overwrites) {
      stable.writeLock().lock();
    }
    lock.lock();
    try {
      requireChangeable();
      change.run();
    } catch (IOException e) {
      ErrnoException error = errnoOf(e);
      if (error.errno() == Errno.ENOSPC || error.errno() == Errno.EDQUOT) {
        store.reserve().report();
      }
      throw error;
    } finally {
      lock.unlock();
      if (overwrites) {
        stable.writeLock().unlock();
      }
    }
  }

  /**
   * How many replicas are missing that commits here are to wait for; 0 on a node that is not the
   * primary, and if commits wait for none. Takes no lock of the database.
   */
  public int missingReplicas() {
    CommitSync sync = store.commitSync();
    return sync == null || !store.isPrimary() ? 0 : sync.missing(name);
  }

  /** Whether applications on this node may begin transactions. */
  public boolean isWritable() {
    return access.isOpen();
  }

  /** A transaction that has begun may be rolled back, whatever has become of the halt lock. */
  void requireChangeable() throws ErrnoException {
    if (!(access.session() != null && journal.isActive())) {
      access.require();
    }
  }

  /** What an application is told of a failure. */
  ErrnoException errnoOf(IOException e) {
    if (e instanceof ErrnoException errno) {
      return errno;
    }
    logger.error("{}: {}", name, e.getMessage(), e);
    return new ErrnoException(Errno.EIO, name + ": " + e.getMessage());
  }

  /** Leaves everything on disk, so that the next start has nothing to recover. */
  void close() {
    try {
      bases.advance(true);
    } catch (IOException e) {
      logger.error("{}: not closed in order: {}", name, e.getMessage());
    }
    abandon();
  }

  /** Closes it as it is. */
  void abandon() {
    bases.close();
    log.close();
    files.close();
  }
}

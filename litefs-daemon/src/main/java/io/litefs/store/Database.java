package io.litefs.store;

import io.litefs.fuse.KernelCache;
import io.litefs.ltx.PageChecksum;
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
 * <p>Two locks guard it. {@link #lock} guards all state; every operation that changes a file holds
 * it. {@link #stable} is taken first: shared by those who read the database as of one position
 * (snapshot, export), exclusively by those who overwrite what such a reader needs (the database
 * file, the beginning of the WAL). Reading requests take neither.
 */
public final class Database {

  private static final Logger logger = LoggerFactory.getLogger(Database.class);
  static final int MAX_PAGE_SIZE = 65536;

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
  private final JournalCapture journal = new JournalCapture();
  private final WriteAheadLog wal;

  private final WriteAccess access;
  private final PlainWrites plain;
  private final BaseKeeper bases;
  private final UnjournaledCapture unjournaledCapture;

  /** Whether the database file was written to since it was last synced. */
  private volatile boolean unsyncedDatabase;

  private volatile DatabaseState state = DatabaseState.NONE;
  private volatile boolean walMode;

  /**
   * Pages that do not hold what the position says: free ones, which SQLite does not journal, that a
   * transaction wrote which was taken back; and those of one that failed and is in the log all the
   * same ({@link #behindLog}). Null if there are none; written under the lock. After a kill a
   * {@link StrayPagesMark} tells of the former, and the log itself has the latter: no base is made
   * beyond it.
   */
  private volatile PageTable strayPages;

  /** Whether they are those of a transaction that only the log has. */
  private volatile boolean behindLog;

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

  LtxLog log() {
    return log;
  }

  PageTable checksums() {
    return checksums;
  }

  /** Reads the database file. For who holds the lock. */
  PageReader pages() {
    return pages;
  }

  BaseKeeper bases() {
    return bases;
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

  /**
   * Whether the database file has writes of a transaction that no journal could undo. Caller holds
   * the lock.
   */
  boolean isWrittenWithoutJournal() {
    return plain.areThere() || halfApplied;
  }

  /** Whether applications may write to it, and whether what they commit counts. */
  WriteAccess access() {
    return access;
  }

  TransactionRecorder recorder() {
    return recorder;
  }

  boolean compresses() {
    return store.options().compress();
  }

  long nodeId() {
    return store.nodeId();
  }

  DatabaseFiles files() {
    return files;
  }

  KernelCache kernelCache() {
    return store.kernelCache();
  }

  /** Where a super-journal of this name lies. */
  public Path superJournal(String fileName) {
    return files.dir().resolve(fileName);
  }

  /** The file behind the mount's database file; null if the database does not exist. */
  public BackingFile file(FileKind kind) {
    return files.get(kind);
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
    return plain.areThere() || halfApplied || (journal.isActive() && !journal.dirty().isEmpty());
  }

  /** Waits for a transaction to end. Caller holds the lock. */
  boolean awaitChange(long nanos) throws InterruptedException {
    return changed.awaitNanos(nanos) > 0;
  }

  // ------------------------------------------------- files come and go

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

  /** Removes the rollback journal: the commit of a transaction if its header is valid. */
  public void unlinkJournal() throws ErrnoException {
    endJournal(
        () -> {
          if (journal.isActive()) {
            commitJournal();
          }
          files.remove(FileKind.JOURNAL);
          journal.reset();
        });
  }

  /** Drops the database: a transaction of its own if it ever had one. */
  public void drop() throws ErrnoException {
    store.requireWritable(name);
    access.requireNotHalted();
    change(
        true,
        () -> {
          if (state.exists()) {
            access.irrevocably(() -> commit(recorder.recordDrop(state), false));
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
    wal.captureBefore(); // a checkpoint copies it
    change(
        true,
        () -> {
          if (file != files.get(FileKind.DATABASE)) {
            file.file().pwrite(from, offset);
            return;
          }
          if (journal.isActive()) {
            requireSpace(file, from, offset);
            if (access.session() != null) {
              plain.keep(file, offset, offset + from.remaining());
            }
            journal.markDirty(offset, from.remaining());
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
   * Refuses a write that makes more pages part of a transaction for which there is no space.
   *
   * <p>A rollback is never refused: it writes pages that were written to before, or what is there.
   *
   * @throws ErrnoException ENOSPC
   */
  private void requireSpace(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    long more = journal.newlyDirtyBytes(offset, from.remaining());
    if (more == 0) {
      return;
    }
    try {
      store.reserve().require(journal.dirtyBytes() + more);
    } catch (ErrnoException e) {
      ByteBuffer present = ByteBuffer.allocateDirect(from.remaining());
      file.file().preadMost(present, offset);
      if (!present.flip().equals(from)) {
        throw e;
      }
    }
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

  private void syncPages(BackingFile file) throws ErrnoException {
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
            } else if (access.session() != null && size < file.size()) {
              plain.keep(file, size, file.size());
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
          journal.databaseSynced();
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
    unjournaledCapture.closed(
        () ->
            change(
                true,
                () -> {
                  if (file == files.get(FileKind.DATABASE)
                      && !journal.isActive()
                      && !wal.isActive()) {
                    plain.closed(file, last);
                  }
                }));
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

  /** Wakes who waits for a position or for the end of a transaction. Caller holds the lock. */
  void signalChange() {
    changed.signalAll();
  }

  // ------------------------------------------------- the rollback journal

  public void writeJournal(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    metrics.journalWrites.increment();
    change(
        false,
        () -> {
          boolean current = file == files.get(FileKind.JOURNAL);
          if (current && journal.isInvalidatedBy(from, offset)) {
            commitJournal();
          }
          ByteBuffer written = from.duplicate();
          file.file().pwrite(from, offset);
          if (current) {
            journal.written(written, offset);
          }
        });
  }

  public void truncateJournal(BackingFile file, long size) throws ErrnoException {
    endJournal(
        () -> {
          boolean ends = file == files.get(FileKind.JOURNAL) && size < JournalCapture.HEADER_BYTES;
          if (ends && journal.isActive()) {
            commitJournal();
          }
          file.file().truncate(size);
          if (ends) {
            journal.reset();
          }
        });
  }

  public void syncJournal(BackingFile file) throws ErrnoException {
    file.file().fdatasync();
    syncLog();
  }

  /**
   * The journal is about to become invalid: what it protected is a transaction, or nothing if it
   * was rolled back. The transaction ends with the journal itself.
   */
  private void commitJournal() throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    if (file != null) {
      plain.join(journal.dirty());
    }
    Pos before = state.pos();
    if (file != null && !journal.dirty().isEmpty() && file.size() > 0) {
      try {
        recordFromFile(file, pages.header(file), journal.dirty());
      } catch (ErrnoException e) {
        if (e.errno() != Errno.ENOSPC && e.errno() != Errno.EDQUOT) {
          // SQLite rolls back, and the free pages that this leaves changed must not wait for
          // anybody.
          access.takingBack(access.isTakingBack() || access.waitsForReplicas());
          throw e;
        }
        // SQLite takes a full disk for what it is when it writes, not when it removes the journal.
        store.reserve().release();
        recordFromFile(file, pages.header(file), journal.dirty());
      }
      if (!state.pos().equals(before)) {
        journal.logged(); // Until the journal is gone, whatever fails leaves it to be rolled back.
      }
      if (journal.wantsDurability()) {
        syncLog();
      }
    }
    if (file != null && file.size() == 0 && state.exists() && access.isTakingBack()) {
      commit(recorder.recordDrop(state), false); // Its first transaction is taken back.
    }
    if (!state.pos().equals(before) && !access.awaitReplicas()) {
      // The journal stays, so SQLite writes the old pages again, which is the next transaction.
      access.takingBack(true);
      throw access.tooFewReplicas(state.pos().txid());
    }
    access.takingBack(false);
    plain.joined();
    changed.signalAll();
  }

  /** Records the transaction that leads to what the file holds. Caller holds the lock. */
  void recordFromFile(BackingFile file, DatabaseHeader header, PageTable touched)
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
    if (recorded != null) {
      commit(recorded, header.isWal());
    }
  }

  private void commit(TransactionRecorder.Recorded recorded, boolean nextWalMode)
      throws IOException {
    recorded.append();
    accept(recorded, nextWalMode);
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

  // ------------------------------------------------- the files beside it

  /** The WAL and its index. */
  public WriteAheadLog wal() {
    return wal;
  }

  JournalCapture journal() {
    return journal;
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

  // ------------------------------------------------- reading and checking

  /**
   * Computes the checksum of every page anew from {@code source}. Caller holds the lock, or is
   * alone.
   */
  void rebuildChecksums(int pageSize, long pageCount, TransactionRecorder.PageSource source)
      throws IOException {
    checksums.clear();
    long lockPage = new io.litefs.ltx.PageSize(pageSize).lockPage();
    for (long pgno = 1; pgno <= pageCount; pgno++) {
      if (pgno != lockPage) {
        checksums.put(pgno, PageChecksum.of(pgno, source.page(pgno)));
      }
    }
  }

  /** The database checksum that the pages' checksums make. */
  long checksumOfPages(long pageCount) {
    return checksums.xor(pageCount) | 1L << 63;
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
        strayPages = wal.capture().unseen();
        behindLog = true;
      }
    } finally {
      lock.unlock();
    }
  }

  /** Gives the space free that is kept for what must be written. */
  void releaseReserve() {
    store.reserve().release();
  }

  /** Whether the database file may have writes of a transaction that was never committed. */
  boolean isUnfinished() {
    lock.lock();
    try {
      return journal.isActive() || plain.canUndo();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Undoes what applications wrote while they could, and did not commit before this node ceased to
   * be the primary or to have the halt lock, and removes the journal. The caller holds SQLite's
   * EXCLUSIVE lock.
   */
  void rollBackUnfinished() throws IOException {
    stable.writeLock().lock();
    lock.lock();
    try {
      BackingFile file = files.get(FileKind.DATABASE);
      BackingFile undo = files.get(FileKind.JOURNAL);
      if (file != null && undo != null && journal.isActive()) {
        HotJournal.rollBack(undo, file);
        file.touch();
        logger.info("{}: rolled back a transaction that was not committed in time", name);
      }
      if (file != null && plain.canUndo()) {
        plain.undo(file);
      }
      if (file != null) {
        syncPages(file); // While the journal is there, all can be done again.
        findStrayPages(file, journal.dirty());
        behindLog |= journal.isLogged() && strayPages != null;
      }
      files.remove(FileKind.JOURNAL);
      journal.reset();
      changed.signalAll();
    } finally {
      lock.unlock();
      stable.writeLock().unlock();
    }
    // Before the lock goes: whoever gets it next must see the pages as they are.
    kernelCache().invalidate(name, 0, 0);
    kernelCache().invalidateEntry(name + "-journal");
  }

  /** Whether there is a journal with a valid header; nobody's, if the caller holds RESERVED. */
  boolean hasHotJournal() {
    lock.lock();
    try {
      return journal.isActive();
    } finally {
      lock.unlock();
    }
  }

  /**
   * On a primary: rolls back a transaction that its writer has left, as the next connection would.
   * If it is in the log, it is taken back. The caller holds SQLite's EXCLUSIVE lock.
   */
  void rollBackHotJournal() throws IOException {
    change(
        true,
        () -> {
          BackingFile file = files.get(FileKind.DATABASE);
          BackingFile undo = files.get(FileKind.JOURNAL);
          if (file != null && undo != null && journal.isActive()) {
            HotJournal.rollBack(undo, file);
            file.touch();
            syncPages(file);
            access.takingBack(true);
            commitJournal();
            files.remove(FileKind.JOURNAL);
            journal.reset();
          }
        });
    kernelCache().invalidate(name, 0, 0);
    kernelCache().invalidateEntry(name + "-journal");
  }

  private void findStrayPages(BackingFile file, PageTable written) throws IOException {
    PageTable stray = new PageTable();
    if (strayPages != null) {
      stray.putAll(strayPages);
    }
    int pageSize = state.pageSize();
    for (long pgno = written.next(1);
        pgno != 0 && pgno <= state.pageCount();
        pgno = written.next(pgno + 1)) {
      long known = checksums.get(pgno);
      if (known != 0 && known != PageChecksum.of(pgno, pages.page(file, pgno, pageSize))) {
        stray.put(pgno, 1);
      }
    }
    strayPages = stray.isEmpty() ? null : stray;
    if (strayPages != null) {
      StrayPagesMark.set(files.dir());
    }
  }

  /** Whether only a snapshot brings the file to the database's position. */
  boolean hasStrayPages() {
    return strayPages != null;
  }

  /**
   * Whether the log has a transaction that nobody here sees: one that failed and is yet to be taken
   * back, by a rollback, another transaction or a snapshot.
   */
  boolean differsFromLog() {
    lock.lock();
    try {
      return behindLog || wal.capture().hasUnseen() || journal.isLogged();
    } finally {
      lock.unlock();
    }
  }

  /** The whole database has been replaced. */
  void forgetStrayPages() throws IOException {
    StrayPagesMark.clear(files.dir());
    strayPages = null;
    behindLog = false;
  }

  /**
   * On a node that is primary now: what they hold becomes a transaction, as after any rollback, or
   * part of one that has begun already. It does not wait for replicas: none follows yet.
   */
  void recordStrayPages() throws IOException {
    lock.lock();
    try {
      BackingFile file = files.get(FileKind.DATABASE);
      if (strayPages != null && file != null) {
        if (plain.areThere()) {
          plain.include(strayPages);
        } else if (isMidTransaction()) {
          journal.dirty().putAll(strayPages);
        } else if (wal.isActive()) {
          wal.capture().recordAsSeen(files.get(FileKind.WAL), file, strayPages);
        } else {
          access.takingBack(true);
          try {
            recordFromFile(file, pages.header(file), strayPages);
          } finally {
            access.takingBack(false);
          }
        }
      }
      forgetStrayPages();
    } finally {
      lock.unlock();
    }
  }

  /** Puts the whole database in the place of its log. For recovery. */
  void replaceLog() throws IOException {
    Snapshots.replaceLog(this, store.soundness());
  }

  // ------------------------------------------------- changing

  /**
   * The end of a rollback journal. One that has nothing to undo may go on any node: so an
   * application whose node has ceased to be the primary gets out of its transaction.
   */
  private void endJournal(Change change) throws ErrnoException {
    lock.lock();
    try {
      if (!journal.dirty().isEmpty() || plain.areThere()) {
        requireChangeable();
      }
      change.run();
    } catch (IOException e) {
      throw errnoOf(e);
    } finally {
      lock.unlock();
    }
  }

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

  /**
   * Before an application makes a rollback journal, with which its transaction begins. Why not is
   * told by EACCES and no other errno: SQLite's unix VFS ({@code unixOpen} in {@code os_unix.c})
   * makes "attempt to write a readonly database" of it, of others "unable to open database file".
   *
   * @throws ErrnoException EACCES if the transaction could not be committed
   */
  public void requireMayBegin() throws ErrnoException {
    try {
      access.requireForCommit();
    } catch (ErrnoException e) {
      throw new ErrnoException(Errno.EACCES, name + ": no transaction can begin here", e);
    }
  }

  /** A transaction that has begun may be rolled back, whatever has become of the halt lock. */
  private void requireChangeable() throws ErrnoException {
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

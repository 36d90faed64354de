package io.litefs.store;

import io.litefs.fuse.KernelCache;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.DatabaseHeader;
import io.litefs.sqlite.SqliteFormatException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
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

  private final TransactionRecorder recorder;
  private final JournalCapture journal = new JournalCapture();
  private final WalCapture wal;

  private final UndoPages undo;

  /**
   * Pages written with neither journal nor WAL: journal_mode OFF or MEMORY, or a database that
   * arrives by plain file operations.
   */
  private final PageTable unjournaled = new PageTable();

  private boolean unjournaledWrites;

  /**
   * Whether the content before a truncation to nothing is kept aside until what arrives instead is
   * complete.
   */
  private volatile boolean arriving;

  private volatile DatabaseState state = DatabaseState.NONE;
  private volatile boolean walMode;
  private volatile boolean walIndexOwned;
  private volatile long lastTransactionMillis;

  private final ByteBuffer pageBuffer = ByteBuffer.allocateDirect(MAX_PAGE_SIZE);
  private final ByteBuffer headerBuffer = ByteBuffer.allocateDirect(DatabaseHeader.SIZE);

  Database(Store store, String name, DatabaseFiles files, LtxLog log) {
    this.store = store;
    this.name = name;
    this.files = files;
    this.log = log;
    this.recorder =
        new TransactionRecorder(log, checksums, store.options().compress(), store.nodeId());
    this.wal = new WalCapture(this);
    this.undo = new UndoPages(files.dir());
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
  public java.nio.file.Path superJournal(String fileName) {
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
   * Whether a transaction of the application is between its first write to the database file and
   * its end. Caller holds the lock.
   */
  boolean isMidTransaction() {
    return unjournaledWrites || arriving || (journal.isActive() && !journal.dirty().isEmpty());
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
    change(
        false,
        () -> {
          if (journal.isActive()) {
            commitJournal();
          }
          files.remove(FileKind.JOURNAL);
          journal.reset();
        });
  }

  /** Removes the WAL; whatever was committed in it is in the log. */
  public void unlinkWal() throws ErrnoException {
    stable.writeLock().lock();
    lock.lock();
    try {
      files.remove(FileKind.WAL);
      wal.reset();
    } catch (IOException e) {
      throw errnoOf(e);
    } finally {
      lock.unlock();
      stable.writeLock().unlock();
    }
  }

  public void unlinkShm() throws ErrnoException {
    lock.lock();
    try {
      files.remove(FileKind.SHM);
    } catch (IOException e) {
      throw errnoOf(e);
    } finally {
      lock.unlock();
    }
  }

  /** Drops the database: a transaction of its own if it ever had one. */
  public void drop() throws ErrnoException {
    change(
        true,
        () -> {
          if (state.exists()) {
            TransactionRecorder.Recorded recorded = recorder.recordDrop(state);
            commit(recorded, false);
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
    endUnjournaled();
    store.namesChanged(name);
  }

  // ------------------------------------------------- the database file

  public void writeDatabase(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    metrics.databaseWrites.increment();
    change(
        true,
        () -> {
          if (file != files.get(FileKind.DATABASE)) {
            file.file().pwrite(from, offset);
            return;
          }
          if (journal.isActive()) {
            journal.markDirty(offset, from.remaining());
          } else if (wal.isActive()) {
            wal.beforeCheckpointWrite(file(FileKind.WAL));
          } else {
            noteUnjournaled(file, offset, from.remaining());
          }
          file.file().pwrite(from, offset);
          file.touch();
        });
  }

  /**
   * Cuts or extends the database file. SQLite cuts it to the size that the header says after the
   * commit, when there is no journal any more: that changes nothing.
   */
  public void truncateDatabase(BackingFile file, long size) throws ErrnoException {
    change(
        true,
        () -> {
          if (file == files.get(FileKind.DATABASE)
              && !journal.isActive()
              && !wal.isActive()
              && file.size() != size
              && size != state.pageCount() * state.pageSize()) {
            if (size == 0 && state.exists() && !arriving) {
              files.setAside(file);
              arriving = true;
            } else if (state.exists() && !arriving) {
              saveForUndo(file, size, state.pageCount() * state.pageSize());
            }
            unjournaledWrites = true;
          }
          if (size == 0 && arriving) {
            unjournaled.clear();
          }
          file.file().truncate(size);
          file.touch();
        });
  }

  /**
   * Whether the database was truncated to nothing and another one is being written in its place.
   */
  public boolean isArriving() {
    return arriving;
  }

  private void noteUnjournaled(BackingFile file, long offset, int length) throws ErrnoException {
    unjournaledWrites = true;
    if (state.exists() && !arriving) {
      saveForUndo(file, offset, offset + length);
      JournalCapture.mark(unjournaled, offset, length, state.pageSize());
    }
  }

  /** Keeps the pages in a range of bytes as they are. */
  private void saveForUndo(BackingFile file, long from, long to) throws ErrnoException {
    int pageSize = state.pageSize();
    long last = Math.min(state.pageCount(), (to - 1) / pageSize + 1);
    for (long pgno = from / pageSize + 1; pgno <= last; pgno++) {
      if (!undo.has(pgno)) {
        undo.save(pgno, readPage(file, pgno, pageSize));
      }
    }
  }

  /** fsync(2) of the database file. */
  public void syncDatabase(BackingFile file) throws ErrnoException {
    lock.lock();
    try {
      if (file == files.get(FileKind.DATABASE) && store.isPrimary()) {
        if (journal.isActive()) {
          journal.databaseSynced();
        } else if (unjournaledWrites && incompleteReason(file).isEmpty()) {
          commitUnjournaled(file);
        }
      }
    } catch (IOException e) {
      throw errnoOf(e);
    } finally {
      lock.unlock();
    }
    file.file().fdatasync();
    log.sync();
  }

  /**
   * A descriptor that wrote to the database was closed. What was written with neither journal nor
   * WAL becomes a transaction now, or an error if it is no database; {@code last} says that no more
   * can come from this handle.
   */
  public void closedAfterWriting(BackingFile file, boolean last) throws ErrnoException {
    change(
        true,
        () -> {
          if (file != files.get(FileKind.DATABASE)
              || !unjournaledWrites
              || journal.isActive()
              || wal.isActive()) {
            return;
          }
          java.util.Optional<String> reason = incompleteReason(file);
          if (reason.isEmpty()) {
            commitUnjournaled(file);
            return;
          }
          String what =
              name + " was written by plain file operations and is no database: " + reason.get();
          if (last) {
            discardArrival(file);
            logger.error("{}; it was discarded", what);
          } else {
            logger.warn("{}; close(2) fails with EIO", what);
          }
          throw new ErrnoException(Errno.EIO, what);
        });
  }

  /**
   * What was written is no database: the one before comes back, or the file goes if there was none.
   */
  private void discardArrival(BackingFile file) throws IOException {
    if (arriving) {
      files.bringBack(file);
      kernelCache().later(() -> kernelCache().invalidate(name, 0, 0));
    } else if (!state.exists()) {
      removeFiles();
      kernelCache().later(() -> kernelCache().invalidateEntry(name));
      store.dropped(this);
    } else {
      undo.restore(file.file(), state.pageSize());
      file.file().truncate(state.pageCount() * state.pageSize());
      file.touch();
      kernelCache().later(() -> kernelCache().invalidate(name, 0, 0));
    }
    endUnjournaled();
  }

  private void endUnjournaled() throws IOException {
    undo.clear();
    unjournaled.clear();
    unjournaledWrites = false;
    arriving = false;
    changed.signalAll();
  }

  /** Why the file is no complete database; empty if it is one, or if it is empty and always was. */
  private java.util.Optional<String> incompleteReason(BackingFile file) throws IOException {
    long size = file.size();
    if (size == 0) {
      // To SQLite an empty file is a database; in the place of one with content it is a loss.
      return state.exists() ? java.util.Optional.of("it is empty") : java.util.Optional.empty();
    }
    return DatabaseHeader.incompleteReason(readHeader(file), size);
  }

  private void commitUnjournaled(BackingFile file) throws IOException {
    if (file.size() > 0) {
      DatabaseHeader header = parseHeader(file);
      PageTable touched = arriving ? allPages(header.pageCount(file.size())) : unjournaled;
      recordFromFile(file, header, touched);
    }
    if (arriving) {
      files.forgetAside();
    }
    endUnjournaled();
  }

  private PageTable allPages(long count) {
    PageTable all = new PageTable();
    for (long pgno = 1; pgno <= count; pgno++) {
      all.put(pgno, 1);
    }
    return all;
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
    change(
        false,
        () -> {
          boolean current = file == files.get(FileKind.JOURNAL);
          if (current && size < JournalCapture.HEADER_BYTES) {
            if (journal.isActive()) {
              commitJournal();
            }
            journal.reset();
          }
          file.file().truncate(size);
        });
  }

  public void syncJournal(BackingFile file) throws ErrnoException {
    file.file().fdatasync();
    log.sync();
  }

  /**
   * The journal is about to become invalid: what it protected is a transaction, or nothing if it
   * was rolled back.
   */
  private void commitJournal() throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    if (file != null && !journal.dirty().isEmpty() && file.size() > 0) {
      recordFromFile(file, parseHeader(file), journal.dirty());
      if (journal.wantsDurability()) {
        log.sync();
      }
    }
    journal.transactionEnded();
    changed.signalAll();
  }

  private void recordFromFile(BackingFile file, DatabaseHeader header, PageTable touched)
      throws IOException {
    int pageSize = header.pageSize();
    long pageCount = header.pageCount(file.size());
    TransactionRecorder.Recorded recorded =
        recorder.record(
            state,
            pageSize,
            pageCount,
            touched,
            pgno -> readPage(file, pgno, pageSize),
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

  // ------------------------------------------------- the WAL

  public void writeWal(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    metrics.walWrites.increment();
    boolean restarts = offset < WalCapture.HEADER_BYTES;
    change(
        restarts,
        () -> {
          if (file != files.get(FileKind.WAL)) {
            file.file().pwrite(from, offset);
          } else {
            wal.write(file, from, offset);
          }
        });
  }

  public void truncateWal(BackingFile file, long size) throws ErrnoException {
    change(
        true,
        () -> {
          file.file().truncate(size);
          if (file == files.get(FileKind.WAL)) {
            wal.truncated(size);
          }
        });
  }

  /**
   * fsync(2) of the WAL: its committed frames are in the log, so the log is what must be on disk.
   */
  public void syncWal() throws ErrnoException {
    log.sync();
  }

  /** Empties the WAL: all it holds is superseded. Caller holds both locks, and SQLite's. */
  void emptyWal() throws IOException {
    BackingFile file = files.get(FileKind.WAL);
    if (file != null) {
      file.file().truncate(0);
      wal.reset();
    }
  }

  WalCapture wal() {
    return wal;
  }

  JournalCapture journal() {
    return journal;
  }

  // ------------------------------------------------- the index of the WAL

  /**
   * A write-back of a page of the index that applications have mapped. On a replica the daemon is
   * who writes the header: the page may carry older bytes of it.
   */
  public void writeShm(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    metrics.shmWrites.increment();
    int skipped = 0;
    if (walIndexOwned && offset < WalIndexPublisher.OWNED_BYTES) {
      skipped = (int) Math.min(from.remaining(), WalIndexPublisher.OWNED_BYTES - offset);
      from.position(from.position() + skipped);
    }
    file.file().pwrite(from, offset + skipped);
  }

  /** Says whether the header of the wal-index is the daemon's. */
  void ownWalIndex(boolean owned) {
    walIndexOwned = owned;
  }

  // ------------------------------------------------- rename

  /**
   * Takes over the content of {@code source}, which ceases to exist: replicated as creation here
   * and drop there.
   */
  void takeOver(Database source) throws ErrnoException {
    if (source.file(FileKind.WAL) != null && source.wal.isActive() || source.journal.isActive()) {
      throw new ErrnoException(
          Errno.EBUSY,
          "rename of " + source.name + ": it has a WAL or a journal; close its connections first");
    }
    change(
        true,
        () -> {
          BackingFile moved = source.files.get(FileKind.DATABASE);
          java.util.Optional<String> reason =
              moved.size() == 0
                  ? java.util.Optional.empty()
                  : DatabaseHeader.incompleteReason(readHeader(moved), moved.size());
          if (reason.isPresent()) {
            throw new ErrnoException(
                Errno.EIO, "rename of " + source.name + " to " + name + ": " + reason.get());
          }
          if (moved.size() > 0) {
            DatabaseHeader header = parseHeader(moved);
            recordFromFile(moved, header, allPages(header.pageCount(moved.size())));
          }
          removeFiles();
          files.adopt(FileKind.DATABASE, source.files);
        });
    source.drop();
    store.namesChanged(name);
  }

  // ------------------------------------------------- reading and checking

  /**
   * Reads a page of the database file; what lies beyond its end is zero. The buffer is valid until
   * the next call.
   */
  ByteBuffer readPage(BackingFile file, long pgno, int pageSize) throws ErrnoException {
    ByteBuffer page = pageBuffer.clear().limit(pageSize);
    file.file().preadMost(page, (pgno - 1) * pageSize);
    while (page.hasRemaining()) {
      page.put((byte) 0);
    }
    return page.flip();
  }

  private ByteBuffer readHeader(BackingFile file) throws ErrnoException {
    ByteBuffer buffer = headerBuffer.clear();
    file.file().preadMost(buffer, 0);
    return buffer.flip();
  }

  private DatabaseHeader parseHeader(BackingFile file) throws IOException {
    try {
      return DatabaseHeader.parse(readHeader(file));
    } catch (SqliteFormatException e) {
      throw new ErrnoException(Errno.EIO, name + " is no database: " + e.getMessage());
    }
  }

  /** Whether the file behind the database says write-ahead log; false if there is none. */
  boolean fileIsWal() throws ErrnoException {
    BackingFile file = files.get(FileKind.DATABASE);
    ByteBuffer header = file == null ? null : readHeader(file);
    return header != null && header.limit() > 19 && header.get(19) == 2;
  }

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
    long sum = 0;
    for (long pgno = 1; pgno <= pageCount; pgno++) {
      sum ^= checksums.get(pgno);
    }
    return sum | 1L << 63;
  }

  // ------------------------------------------------- changing

  @FunctionalInterface
  interface Change {
    void run() throws IOException;
  }

  /**
   * Runs a change of the application's under the locks it needs, if this node may be written to.
   */
  private void change(boolean overwrites, Change change) throws ErrnoException {
    // Before any lock: a refused write must not wait for an apply that waits for the page this
    // write has locked.
    store.requireWritable(name);
    if (overwrites) {
      stable.writeLock().lock();
    }
    lock.lock();
    try {
      store.requireWritable(name);
      change.run();
    } catch (IOException e) {
      throw errnoOf(e);
    } finally {
      lock.unlock();
      if (overwrites) {
        stable.writeLock().unlock();
      }
    }
  }

  private ErrnoException errnoOf(IOException e) {
    if (e instanceof ErrnoException errno) {
      return errno;
    }
    logger.error("{}: {}", name, e.getMessage(), e);
    return new ErrnoException(Errno.EIO, name + ": " + e.getMessage());
  }

  void close() {
    log.close();
    files.close();
  }
}

package io.litefs.store;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.Wal;
import io.litefs.sqlite.WalHeader;
import io.litefs.sqlite.WalIndexHeader;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The WAL of a database and its index: what applications do to these files, or, on a replica, that
 * the daemon itself writes them.
 *
 * <p>What the mount calls takes the database's locks; before that, and holding none, it asks the
 * index where only that can tell what is committed. The other methods say what they need.
 */
public final class WriteAheadLog {

  private final Store store;
  private final Database database;
  private final DatabaseFiles files;
  private final WalCapture capture;
  private final UnpublishedTransaction unpublished;
  private final UnchainedTransaction unchained;

  /** On a replica, the WAL that the daemon itself writes; null if the WAL is the applications'. */
  private volatile ReplicaWal applied;

  WriteAheadLog(Store store, Database database) {
    this.store = store;
    this.database = database;
    this.files = database.files();
    this.capture = new WalCapture(database);
    this.unpublished = new UnpublishedTransaction(store, database);
    this.unchained = new UnchainedTransaction(store, database);
  }

  /** What applications have written to it. Guarded by the database's lock. */
  WalCapture capture() {
    return capture;
  }

  /** Whether applications' WAL has a valid header. Caller holds the lock. */
  boolean isActive() {
    return capture.isActive();
  }

  /** Whether an index counts frames of the WAL that has been captured, and none beyond. */
  boolean isOf(WalIndexHeader index) {
    database.lock.lock();
    try {
      WalHeader log = capture.header();
      return log != null
          && index.salt1() == log.salt1()
          && index.salt2() == log.salt2()
          && index.maxFrame() <= Wal.framesBefore(capture.end().offset(), log.pageSize());
    } finally {
      database.lock.unlock();
    }
  }

  /** It is gone, empty or new. Caller holds the lock. */
  void reset() {
    capture.reset();
  }

  // ------------------------------------------------- the WAL

  public void write(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    database.metrics().walWrites.increment();
    boolean restarts = offset < WalCapture.HEADER_BYTES;
    if (capture.needsIndexBefore(offset)) {
      unchained.captureBefore();
    }
    database.change(
        restarts,
        () -> {
          if (file != files.get(FileKind.WAL)) {
            file.file().pwrite(from, offset);
          } else {
            capture.write(file, from, offset);
          }
        });
  }

  public void truncate(BackingFile file, long size) throws ErrnoException {
    unchained.captureBefore();
    database.change(
        true,
        () -> {
          if (file == files.get(FileKind.WAL)) {
            database.beforeWalGoes();
            capture.truncating(file, size);
          }
          file.file().truncate(size);
        });
  }

  /**
   * fsync(2): its committed frames are in the log, so the log is what must be on disk.
   *
   * @param writtenTo where the last write of the connection that syncs has ended
   */
  public void sync(BackingFile file, long writtenTo) throws ErrnoException {
    if (capture.mayBeUnchained()) {
      database.change(
          false,
          () -> {
            if (file == files.get(FileKind.WAL)) {
              capture.syncing(file, writtenTo);
            }
          });
    }
    database.syncLog();
  }

  /**
   * A connection that wrote to it closes it, perhaps by dying. If it had the index in its memory,
   * what it has not copied into the database by now nobody will.
   */
  public void closedAfterWriting(BackingFile file) {
    database.lock.lock();
    try {
      if (file == files.get(FileKind.WAL) && files.get(FileKind.SHM) == null) {
        capture.unpublished();
      }
    } finally {
      database.lock.unlock();
    }
  }

  /** Removes it; whatever was committed in it is in the log, and in the database file or undone. */
  public void unlink() throws ErrnoException {
    requireNotApplied();
    database.stable.writeLock().lock();
    database.lock.lock();
    try {
      database.beforeWalGoes();
      BackingFile present = files.get(FileKind.WAL);
      if (present != null) {
        capture.going(present);
      }
      files.remove(FileKind.WAL);
      capture.reset();
    } catch (IOException e) {
      throw database.errnoOf(e);
    } finally {
      database.lock.unlock();
      database.stable.writeLock().unlock();
    }
  }

  /** Empties it: all it holds is superseded. Caller holds both locks, and SQLite's. */
  void empty() throws IOException {
    BackingFile file = files.get(FileKind.WAL);
    if (file != null) {
      file.file().truncate(0);
      capture.reset();
    }
  }

  // ------------------------------------------------- the index

  /**
   * A write to the index: a connection grows it, or the kernel writes back a page of it that
   * applications have changed in a mapping.
   */
  public void writeIndex(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    database.metrics().shmWrites.increment();
    ReplicaWal ours = applied;
    if (ours != null && file == files.get(FileKind.SHM)) {
      ours.writeBack(file, from, offset);
    } else {
      file.file().pwrite(from, offset);
    }
  }

  /** Cuts or extends the index. */
  public void truncateIndex(BackingFile file, long size) throws ErrnoException {
    requireNotApplied();
    file.file().truncate(size);
  }

  /**
   * A process closes the index, perhaps by dying; what it changed in its mapping is in the backing
   * file. Called before its locks go.
   */
  public void indexClosed(int pid) {
    if (database.isWritable()) {
      unchained.captureNow();
      unpublished.lookBefore(pid);
    }
  }

  /**
   * Removes the index. What it says is not looked at: the kernel has locked the directory, so the
   * index cannot be opened through the mount, and SQLite has copied what is committed before it
   * does this.
   */
  public void unlinkIndex() throws ErrnoException {
    requireNotApplied();
    database.lock.lock();
    try {
      capture.unpublished();
      files.remove(FileKind.SHM);
    } catch (IOException e) {
      throw database.errnoOf(e);
    } finally {
      database.lock.unlock();
    }
  }

  /**
   * The index says which transactions of the WAL are committed.
   *
   * @param index null if the WAL's only connection has it in its memory
   */
  void published(WalIndexHeader index) throws ErrnoException {
    database.change(
        false,
        () -> {
          BackingFile file = files.get(FileKind.WAL);
          if (file != null && index != null) {
            capture.published(file, index);
          } else if (file != null && files.get(FileKind.SHM) == null) {
            capture.publishedInMemory(file);
          }
        });
  }

  /** A transaction may be committed although its commit frame has no checksum. */
  void captureUnchainedSoon() {
    unchained.captureSoon();
  }

  /** Captures it if the index says so by now. The caller holds no lock that a handler needs. */
  void captureNow() {
    unchained.captureNow();
  }

  /**
   * As {@link #captureNow}, before an application changes a file in a way that no connection does
   * within a transaction.
   */
  void captureBefore() throws ErrnoException {
    unchained.captureBefore();
  }

  // ------------------------------------------------- who writes it

  /** Whether the frames of the present WAL are the daemon's own, not captured from applications. */
  boolean isApplied() {
    return applied != null;
  }

  /** Says who writes the WAL and its index: the daemon, or (null) applications. */
  void applyThrough(ReplicaWal ours) {
    applied = ours;
  }

  private void requireNotApplied() throws ErrnoException {
    if (applied != null) {
      throw new ErrnoException(
          Errno.EROFS, database.name() + ": the WAL of a replica is written by litefs");
    }
  }

  /** Where the log's end is in it. Caller holds the lock. */
  Base.WalEnd end() {
    ReplicaWal ours = applied;
    return ours != null && ours.hasCommitted() ? ours.logEnd() : capture.logEnd();
  }

  Base.WalEnd currentEnd() {
    database.lock.lock();
    try {
      return end();
    } finally {
      database.lock.unlock();
    }
  }

  /**
   * Puts the offset of the newest committed frame of each page into {@code table}. Caller holds the
   * lock.
   */
  void mapCommitted(BackingFile file, PageTable table) throws ErrnoException {
    ReplicaWal ours = applied;
    if (ours != null && ours.hasCommitted()) {
      ours.mapCommitted(table);
    } else {
      capture.mapCommitted(file, table);
    }
  }

  /**
   * Before it is the daemon's: what the log has and readers here do not see becomes another
   * transaction, if this node may make one. Whoever writes next may be another node, on top of what
   * the log says. The caller keeps writers out.
   */
  void restoreUnseen() throws IOException {
    database.lock.lock();
    try {
      if (capture.hasUnseen() && capture.isActive() && store.mayCommit()) {
        capture.recordAsSeen(
            files.get(FileKind.WAL), files.get(FileKind.DATABASE), capture.unseen());
      }
    } finally {
      database.lock.unlock();
    }
  }
}

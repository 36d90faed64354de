package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the {@link Base} of one database close to its position, so that a start has little to play
 * and retention may remove files of the log.
 *
 * <p>Thread-safe; what takes long is done by whoever calls {@link #advance}, with none of the
 * database's locks held.
 */
final class BaseKeeper {

  private static final Logger logger = LoggerFactory.getLogger(BaseKeeper.class);

  /** What recovery may have to play: about a second's work. */
  private static final long MAX_TAIL_BYTES = 32 << 20;

  private static final long MAX_AGE_NANOS = TimeUnit.SECONDS.toNanos(60);
  private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(10);
  private static final int CHUNKS_AT_A_TIME = 32;

  private final Database database;
  private final ChecksumFile file;

  /** Null if there is none that the log continues. */
  private volatile Base current;

  private boolean closed;
  private volatile boolean unread;

  /** Not before this, since it failed. */
  private volatile long retryAt = System.nanoTime();

  private volatile long bytesAtBase;
  private volatile long advancedAt = System.nanoTime();

  BaseKeeper(Database database) {
    this.database = database;
    this.file = new ChecksumFile(database.files().dir());
  }

  // ------------------------------------------------- at start

  /** The base on disk; null if there is none. */
  synchronized Base read() throws ErrnoException {
    return file.readBase().orElse(null);
  }

  /** Fills the table with the checksums on disk. */
  synchronized void readTable(PageTable table, long pageCount) throws ErrnoException {
    file.readTable(table, pageCount);
  }

  /**
   * Recovery is done.
   *
   * @param base what it began with; null if that does not count any more
   * @param unchanged whether the files are as they were
   */
  synchronized void recovered(Base base, boolean unchanged) throws IOException {
    current = base;
    unread = base != null && !base.clean();
    if (base != null && unchanged && base.state().equals(database.state())) {
      // On disk before anybody writes: after a power cut neither the pages of a clean base nor the
      // log's last file are read.
      Base open = new Base(base.state(), Base.WalEnd.NONE, Base.currentBoot());
      file.writeBase(open);
      current = open;
    } else if (database.pageSize() > 0) {
      try {
        advance(false);
      } catch (ErrnoException e) {
        logger.warn(
            "{}: cannot write the page checksums: {}; the next start reads the whole database"
                + " unless that succeeds later",
            database.name(),
            e.getMessage());
      }
    }
  }

  /**
   * Whether the last stop was not in order and recovery has not read the whole database: some page
   * that the log no longer has might not be what it should.
   */
  boolean isUnread() {
    return unread;
  }

  // ------------------------------------------------- while it runs

  /**
   * Files of the log before the one that leads to this TXID are not needed for recovery, nor to
   * apply what has been received; 0 if the base is not in the log: a snapshot that goes back behind
   * it, and takes another way from there, is in the log before it is applied.
   */
  long txid() throws IOException {
    Base base = current;
    return base == null || !database.log().leadsTo(base.state().pos())
        ? 0
        : base.state().pos().txid().value();
  }

  /** Whether recovery would have much to play, or something for long. */
  boolean isDue() {
    Base base = current;
    if (System.nanoTime() - retryAt < 0
        || database.pageSize() == 0
        || base != null && base.state().pos().equals(database.pos())) {
      return false;
    }
    if (base == null) {
      return true; // Without one the next start reads everything.
    }
    return database.log().appendedBytes() - bytesAtBase >= MAX_TAIL_BYTES
        || System.nanoTime() - advancedAt >= MAX_AGE_NANOS;
  }

  /**
   * Makes the database's present state the base.
   *
   * @param clean whether nothing follows: the daemon ends
   * @return false if it is not what its position says, the log does not lead there, it is being
   *     written to without a journal, or is closed
   */
  synchronized boolean advance(boolean clean) throws IOException {
    Base next;
    PageTable checksums = database.checksums();
    BackingFile[] files;
    database.lock.lock();
    try {
      // Where it differs from the log, recovery mends it if nothing does before: by playing what
      // follows the base.
      if (closed || database.isWrittenWithoutJournal() || database.differsFromLog()) {
        return false;
      }
      next = new Base(database.state(), database.wal().end(), clean, Base.currentBoot(), null);
      if (next.state().pageSize() > 0 && !database.log().leadsTo(next.state().pos())) {
        return false; // A snapshot has taken the place of what led here, and is not applied yet.
      }
      files = database.retainFiles();
    } finally {
      database.lock.unlock();
    }
    if (next.state().pageSize() == 0 || next.equals(current)) {
      release(files);
      return true;
    }
    advancedAt = System.nanoTime();
    retryAt = advancedAt + RETRY_NANOS;
    long bytes = database.log().appendedBytes();
    try {
      database.log().sync();
      // The journal before the database: what the database has of an unfinished transaction must
      // never be on disk without it. WAL and directory (names that are gone) in any order.
      for (FileKind kind : new FileKind[] {FileKind.WAL, FileKind.JOURNAL, FileKind.DATABASE}) {
        if (files[kind.ordinal()] != null) {
          files[kind.ordinal()].file().fdatasync();
        }
      }
      PosixFile.syncDirectory(database.files().dir());
    } finally {
      release(files);
    }
    writeTable(checksums);
    if (clean) {
      Base.LastFile last = database.log().settledEnd(next.state().pos());
      next = new Base(next.state(), next.wal(), true, next.boot(), last);
    }
    file.writeBase(next);
    current = next;
    bytesAtBase = bytes;
    retryAt = System.nanoTime();
    return true;
  }

  /**
   * From now on the daemon itself writes the WAL: on disk when this returns.
   *
   * @throws IOException if that cannot be; then it must not write
   */
  synchronized void walIsApplied() throws IOException {
    Base base = current;
    if (base == null && database.differsFromLog()) {
      // Of the file nothing counts: recovery plays the whole log, none of which can have gone.
      DatabaseState empty = new DatabaseState(Pos.ZERO, database.pageSize(), 0);
      base = new Base(empty, Base.WalEnd.NONE, Base.currentBoot());
    }
    if (base == null) {
      if (!advance(false)) {
        throw new StoreException(database.name() + " is being written to; trying again");
      }
    } else if (!base.wal().applied()) {
      Base.WalEnd end = base.wal();
      Base ours =
          new Base(
              base.state(),
              new Base.WalEnd(end.salt1(), end.salt2(), end.offset(), true),
              base.boot());
      file.writeBase(ours);
      current = ours;
    }
  }

  /**
   * A snapshot is about to take the place of the log, and will be applied later: what the base says
   * will lead nowhere, also where the database is still as it says. On disk when this returns. If
   * it comes to nothing, the base is only of no use until the next {@link #advance}.
   */
  synchronized void logIsReplaced(int pageSize) throws IOException {
    boolean applied = database.wal().isApplied() || current != null && current.wal().applied();
    Base none =
        new Base(
            new DatabaseState(Pos.ZERO, pageSize, 0),
            new Base.WalEnd(0, 0, 0, applied),
            Base.currentBoot());
    file.writeBase(none);
    current = none;
  }

  private static void release(BackingFile[] files) {
    for (BackingFile each : files) {
      if (each != null) {
        each.release();
      }
    }
  }

  /** Writes what has changed. Later changes may be among it, if the log has them on disk. */
  private void writeTable(PageTable checksums) throws ErrnoException {
    ByteBuffer copy = DirectBuffers.take(CHUNKS_AT_A_TIME * PageTable.CHUNK_BYTES);
    int[] taken = new int[CHUNKS_AT_A_TIME];
    try {
      for (int count = take(checksums, taken, copy);
          count > 0;
          count = take(checksums, taken, copy)) {
        database.log().sync();
        for (int i = 0; i < count; i++) {
          file.writeChunk(taken[i], copy.slice(i * PageTable.CHUNK_BYTES, PageTable.CHUNK_BYTES));
        }
      }
      file.sync();
    } catch (ErrnoException e) {
      // What of it got to disk is not known.
      database.lock.lock();
      try {
        checksums.markAllDirty();
      } finally {
        database.lock.unlock();
      }
      throw e;
    } finally {
      DirectBuffers.give(copy);
    }
  }

  /** Copies some of the changed chunks; returns how many. */
  private int take(PageTable checksums, int[] taken, ByteBuffer copy) {
    copy.clear();
    int count = 0;
    database.lock.lock();
    try {
      for (int index = checksums.nextDirty(0);
          index >= 0 && count < taken.length;
          index = checksums.nextDirty(index + 1)) {
        checksums.takeChunk(index, copy);
        taken[count++] = index;
      }
    } finally {
      database.lock.unlock();
    }
    return count;
  }

  synchronized void close() {
    closed = true;
    file.close();
  }
}

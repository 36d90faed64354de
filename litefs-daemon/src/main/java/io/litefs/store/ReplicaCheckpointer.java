package io.litefs.store;

import io.litefs.fuse.LockHolder;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.Wal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Copies a replica's WAL into the database file, in the background, as a PASSIVE checkpoint of
 * SQLite's does, and lets the WAL begin anew when all of it is copied and nobody reads it.
 *
 * <p>Why a reader of any version is safe:
 *
 * <ul>
 *   <li>A reader under read lock i &gt; 0 reads a page from the database file only if no frame
 *       between {@code nBackfill} as it began and its own {@code mxFrame} holds it. Its read mark
 *       is not above its {@code mxFrame}, and no frame beyond the mark is copied. A frame up to it
 *       is found by the reader itself in the WAL, so a copy of it is not looked at.
 *   <li>A reader whose lock is free when the locks are looked at does not exist. One that comes
 *       later has compared the header after it had its lock, so its {@code mxFrame} is at least the
 *       frame that was the last when the look began, beyond which nothing is copied.
 *   <li>A reader under read lock 0 reads the file alone, so nothing is copied while there is one,
 *       and none comes while frames are copied: the lock is held exclusively. Who would have taken
 *       it takes another.
 *   <li>The WAL begins anew under read locks 1 to 4, all exclusively: nobody reads a frame.
 * </ul>
 *
 * <p>{@code nBackfill} and the restart of the WAL are the work of one pass, and there is one pass
 * at a time: the bug of SQLite before 3.51.3, in which a checkpointer raises {@code nBackfill}
 * after somebody else has restarted the WAL, cannot happen.
 *
 * <p>Power cuts: the log and the WAL are synced before the database file is overwritten, and this
 * before {@code nBackfill} says so, hence before the WAL begins anew.
 *
 * <p>Threads: there may be very many databases, so passes are tasks on the few threads that the
 * store has for all of them ({@link Maintenance#checkpoints}). Fields without a word about it
 * belong to the pass under way, and to who has called {@link #close} behind the last one; the
 * monitor hands them on. The monitor is taken with the database's locks held, and none of these is
 * taken under it.
 */
final class ReplicaCheckpointer {

  private static final Logger logger = LoggerFactory.getLogger(ReplicaCheckpointer.class);

  /** A checkpoint begins when this much waits for it, and the WAL anew when it is this long. */
  private static final long CHECKPOINT_BYTES = 8L << 20;

  /** ... or when no transaction has come for so long. */
  private static final long QUIET_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** What may be left to copy while no transaction can be applied, before the WAL begins anew. */
  private static final long LAST_FRAMES = 512;

  /** How long applying may be held up for readers of a fully copied WAL to end. */
  private static final Duration RESTART_PATIENCE = Duration.ofMillis(5);

  private static final Duration READ_ZERO_PATIENCE = Duration.ofMillis(100);
  private static final long REPORT_NANOS = TimeUnit.MINUTES.toNanos(1);

  /** What is to happen next, of itself. */
  private enum State {
    /** Nothing: all is copied. The next transaction changes that. */
    IDLE,
    /** A look, when it has been quiet for long enough. So much more to copy brings it forward. */
    WAITING,
    /** A pass, as soon as a thread is free. */
    DUE,
    /** The end of the pass under way decides. */
    RUNNING,
    /** A look, when a while has gone by. No transaction brings it forward. */
    PAUSING
  }

  private final Database database;
  private final DatabaseLocks locks;
  private final ReplicaWal wal;
  private final ScheduledExecutorService threads;
  private final long limitBytes;
  private final int pageSize;
  private final int frameSize;
  private final PageTable newest = new PageTable();

  /** Guarded by this. */
  private State state = State.IDLE;

  /** The task by which {@link #state} comes to its end; null if it is none. Guarded by this. */
  private Future<?> planned;

  /** Number of the plan that counts: a task may be cancelled too late. Guarded by this. */
  private long plan;

  /** Written under the monitor. */
  private volatile boolean closed;

  private volatile long lastAppendNanos;
  private volatile long appended;

  /** A restart is not tried again before the WAL is this long, in bytes. */
  private long restartBytes = CHECKPOINT_BYTES;

  private long reportedNanos;

  /**
   * @param threads for passes, which may wait for readers and disks
   * @param limitBytes length of the WAL beyond which the log names who keeps it; 0 for never
   */
  ReplicaCheckpointer(
      Database database,
      DatabaseLocks locks,
      ReplicaWal wal,
      ScheduledExecutorService threads,
      long limitBytes) {
    this.threads = threads;
    this.database = database;
    this.locks = locks;
    this.wal = wal;
    this.limitBytes = limitBytes;
    this.pageSize = wal.pageSize();
    this.frameSize = Wal.frameSize(pageSize);
    this.reportedNanos = System.nanoTime() - REPORT_NANOS;
    appended(committed());
  }

  /** A transaction was appended, whose last frame is {@code frame}. */
  void appended(long frame) {
    // Before the state is looked at: a pass that ends now either sees the frame or leaves a state
    // that is seen here.
    appended = frame;
    lastAppendNanos = System.nanoTime();
    synchronized (this) {
      if (state == State.IDLE || state == State.WAITING && isMuch(backlog())) {
        decide();
      }
    }
  }

  /** Bytes that wait to be copied. */
  private long backlog() {
    return (appended - wal.backfilled()) * frameSize;
  }

  private static boolean isMuch(long backlog) {
    return backlog >= CHECKPOINT_BYTES;
  }

  /** How long until a pass is due; 0 if it is now, negative if there is nothing to copy. */
  private long nanosUntilDue() {
    long backlog = backlog();
    if (backlog <= 0) {
      return -1;
    }
    long quiet = System.nanoTime() - lastAppendNanos;
    return isMuch(backlog) ? 0 : Math.max(0, QUIET_NANOS - quiet);
  }

  /** Plans the next pass, or the next look whether it is time for one. Under the monitor. */
  private void decide() {
    long nanos = nanosUntilDue();
    plan(nanos < 0 ? State.IDLE : nanos == 0 ? State.DUE : State.WAITING, nanos);
  }

  /** Under the monitor. */
  private void plan(State next, long delayNanos) {
    if (planned != null) {
      planned.cancel(false);
      planned = null;
    }
    long number = ++plan;
    state = closed ? State.IDLE : next;
    if (state != State.IDLE) {
      try {
        planned = threads.schedule(() -> run(number), delayNanos, TimeUnit.NANOSECONDS);
      } catch (RejectedExecutionException e) {
        state = State.IDLE; // The store is being closed.
      }
    }
  }

  /** What was planned. */
  private void run(long number) {
    if (!begin(number)) {
      return;
    }
    boolean forward = false;
    try {
      forward = pass();
    } catch (Error e) {
      logger.error(
          "{}: cannot checkpoint the WAL", database.name(), e); // Nobody else would say it.
      throw e;
    } finally {
      end(forward);
    }
  }

  /** Whether it is time for a pass, which has begun then. */
  private synchronized boolean begin(long number) {
    if (number != plan) {
      return false;
    }
    if (state != State.DUE && nanosUntilDue() != 0) {
      decide();
      return false;
    }
    planned = null;
    state = State.RUNNING;
    return true;
  }

  private synchronized void end(boolean forward) {
    if (forward) {
      decide();
    } else {
      // A reader is in the way, or an error: it will still be there for the next transactions.
      plan(State.PAUSING, QUIET_NANOS);
    }
    notifyAll();
  }

  /** Whether it came forward. */
  private boolean pass() {
    try {
      boolean forward = checkpoint(READ_ZERO_PATIENCE);
      restartIfLong();
      reportIfTooLong();
      if (backlog() <= 0) {
        wal.rest();
      }
      return forward;
    } catch (IOException | RuntimeException e) {
      if (!closed) {
        logger.error("{}: cannot checkpoint the WAL: {}", database.name(), e.getMessage());
      }
      return false;
    }
  }

  private long committed() {
    database.lock.lock();
    try {
      return wal.committed();
    } finally {
      database.lock.unlock();
    }
  }

  /**
   * Copies what no reader forbids.
   *
   * @return whether anything was copied
   */
  private boolean checkpoint(Duration patience) throws IOException {
    long last;
    long pageCount;
    database.lock.lock();
    try {
      last = wal.committed();
      pageCount = database.state().pageCount();
    } finally {
      database.lock.unlock();
    }
    long safe = last <= wal.backfilled() ? 0 : safeFrame(last);
    if (safe <= wal.backfilled() || !locks.lockReaders(0, 0, patience)) {
      return false;
    }
    try {
      // Whoever copies the database as of one position must not see the file change.
      if (!database.stable.writeLock().tryLock()) {
        return false;
      }
      try {
        copy(safe);
        if (safe == last) {
          cut(pageCount);
        }
        database.file(FileKind.DATABASE).file().fdatasync();
        wal.backfilled(safe);
      } finally {
        database.stable.writeLock().unlock();
      }
    } finally {
      locks.unlockReaders(0, 0);
    }
    return true;
  }

  /** The last frame, up to {@code last}, that no reader forbids to copy. */
  private long safeFrame(long last) throws ErrnoException {
    if (locks.lockReaders(1, 4, Duration.ZERO)) {
      locks.unlockReaders(1, 4);
      return last;
    }
    long safe = last;
    for (int slot = 1; slot <= 4; slot++) {
      if (locks.lockReaders(slot, slot, Duration.ZERO)) {
        locks.unlockReaders(slot, slot);
      } else {
        // A mark changes only under its lock held exclusively. Whoever sets it now is a new reader.
        safe = Math.min(safe, wal.readMark(slot));
      }
    }
    return safe;
  }

  private void copy(long safe) throws IOException {
    database.log().sync();
    wal.sync();
    wal.attemptBackfill(safe);
    for (long frame = wal.backfilled() + 1; frame <= safe; frame++) {
      newest.put(wal.pageOf(frame), frame);
    }
    BackingFile file = database.file(FileKind.DATABASE);
    PosixFile target = file.file();
    ByteBuffer page = DirectBuffers.take(pageSize);
    try {
      for (long pgno = newest.next(1); pgno != 0; pgno = newest.next(pgno + 1)) {
        wal.readFrame(newest.get(pgno), page.clear().limit(pageSize));
        long offset = (pgno - 1) * pageSize;
        target.pwrite(page.flip(), offset);
        database.kernelCache().store(database.name(), offset, page.flip());
      }
    } finally {
      DirectBuffers.give(page);
      newest.clear();
    }
    file.touch();
  }

  /** Every reader is at the last frame, or behind none: nobody needs pages beyond its size. */
  private void cut(long pageCount) throws IOException {
    BackingFile file = database.file(FileKind.DATABASE);
    long size = pageCount * pageSize;
    if (file.size() > size) {
      file.file().truncate(size);
      database.kernelCache().invalidate(database.name(), size, 0);
    }
  }

  /**
   * Lets the WAL begin anew if it is long and all but a little of it is copied. No transaction is
   * applied meanwhile: with everything copied, readers that begin take read lock 0, and those under
   * the other locks drain in the time that their transactions take.
   */
  private void restartIfLong() throws IOException {
    long frames = committed();
    if (frames * frameSize < restartBytes || frames - wal.backfilled() > LAST_FRAMES) {
      return;
    }
    wal.mutex.lock();
    try {
      checkpoint(Duration.ZERO);
      frames = committed();
      restartBytes = frames * frameSize + CHECKPOINT_BYTES;
      if (wal.backfilled() < frames || !locks.lockReaders(1, 4, RESTART_PATIENCE)) {
        return;
      }
      try {
        if (database.stable.writeLock().tryLock()) {
          try {
            wal.restart(pageSize, database.state().pageCount());
            appended = 0;
            restartBytes = CHECKPOINT_BYTES;
          } finally {
            database.stable.writeLock().unlock();
          }
        }
      } finally {
        locks.unlockReaders(1, 4);
      }
    } finally {
      wal.mutex.unlock();
    }
  }

  private void reportIfTooLong() throws ErrnoException {
    long bytes = committed() * frameSize;
    long now = System.nanoTime();
    if (limitBytes <= 0 || bytes <= limitBytes || now - reportedNanos < REPORT_NANOS) {
      return;
    }
    reportedNanos = now;
    logger.warn(
        "{}: the WAL has grown to {} MB (data.replica-wal-limit is {} MB): {} keeps it with a read"
            + " transaction; it begins anew when that has ended",
        database.name(),
        bytes >> 20,
        limitBytes >> 20,
        locks.reader().map(LockHolder::toString).orElse("nobody any more"));
  }

  /**
   * Copies everything. Nobody else has the database open, and {@link #close} was called.
   *
   * @return false if a copy of the database is being made, which must not see the file change
   */
  boolean finish() throws IOException {
    if (committed() > wal.backfilled()) {
      return checkpoint(Duration.ZERO);
    }
    cut(database.state().pageCount()); // Whoever copied the last frames may not have done it.
    return true;
  }

  /** Whether {@link #close} was called: nothing is checkpointed any more. */
  boolean isClosed() {
    return closed;
  }

  /** Ends it for good; waits for a pass that is under way, and after this there is none. */
  synchronized void close() {
    closed = true;
    boolean interrupted = false;
    while (state == State.RUNNING) {
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true; // the locks must not be dropped under a checkpoint
      }
    }
    plan(State.IDLE, 0);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}

package io.litefs.mount;

import io.litefs.fuse.FileAttributes;
import io.litefs.fuse.LockingFile;
import io.litefs.fuse.MountedFile;
import io.litefs.fuse.OpenFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.fuse.RangeLock;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.store.HaltRefusedException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code <db>-lock}, where it can be locked: whoever has a write lock on {@linkplain #HALT one
 * byte} has the database's halt lock, and may write on a replica. Other locks are those of any
 * file.
 *
 * <p>The lock here is that of one program against others on this node, and is kept in {@link
 * LockTable}; the halt lock is this node's against all others, and is taken for the program that is
 * about to get the lock. On the primary only the former is needed. A halt lock that is lost while
 * its program has the lock here stays lost until the program locks again: a lock of fcntl cannot be
 * taken away.
 *
 * <p>Taking a halt lock goes on when the program that waits for it is interrupted. A signal whose
 * handler restarts the call makes the program ask again at once, and a timer would otherwise keep
 * it from ever getting the lock. If nobody asks any more it is given back.
 *
 * <p>Thread-safe. Nothing here waits for the primary on the calling thread.
 */
final class LockFile implements MountedFile {

  /** The byte of the halt lock. */
  static final long HALT = 72;

  /** How long F_SETLK, which is not to wait, waits for the primary. */
  static final Duration PROMPTLY = Duration.ofSeconds(2);

  /** How long who gives up a lock waits until the primary knows. */
  private static final Duration GIVING_BACK = Duration.ofSeconds(5);

  private static final Logger log = LoggerFactory.getLogger(LockFile.class);

  private static final int MODE = 0666;

  /**
   * How often a lock is tried again, and for how long if the primary cannot be reached: in an
   * election there is none for a while.
   */
  record Patience(Duration retry, Duration unreachable) {
    static final Patience DEFAULT = new Patience(Duration.ofMillis(200), Duration.ofSeconds(10));
  }

  private record Waiter(
      RangeLock wanted, boolean waits, Object handle, CompletableFuture<Integer> answer) {}

  private final String database;
  private final HaltSource halts;
  private final Executor executor;
  private final Patience patience;
  private final LongSupplier modifiedMillis;

  // All guarded by this.
  private final LockTable locks = new LockTable();

  /** In the order in which they came. Answered ones leave by themselves. */
  private final List<Waiter> waiters = new ArrayList<>();

  /** The halt lock of who has the byte's lock; null if there is none, or none is needed. */
  private HaltSource.Halt halt;

  private boolean taking;

  /** Nanotime since when the primary cannot be reached; empty if it can. */
  private OptionalLong unreachableSince = OptionalLong.empty();

  /** Why it could not be taken, as the log has it; a program may try again and again. */
  private String reported = "";

  private boolean closed;

  /**
   * @param executor runs what blocks for the primary
   */
  LockFile(
      String database,
      HaltSource halts,
      Executor executor,
      Patience patience,
      LongSupplier modifiedMillis) {
    this.database = database;
    this.halts = halts;
    this.executor = executor;
    this.patience = patience;
    this.modifiedMillis = modifiedMillis;
  }

  @Override
  public FileAttributes attributes() {
    return new FileAttributes(0, MODE, modifiedMillis.getAsLong());
  }

  @Override
  public OpenFile open(OpenRequest request) {
    return new Handle();
  }

  /** It is empty; open(2) with O_TRUNC comes here. */
  @Override
  public void truncate(long size, OpenRequest request) throws ErrnoException {
    requireEmpty(size);
  }

  private static void requireEmpty(long size) throws ErrnoException {
    if (size != 0) {
      throw new ErrnoException(Errno.EACCES, "a lock file has no content");
    }
  }

  /** What is held. */
  synchronized List<RangeLock> held() {
    return locks.all();
  }

  /** What is waited for. */
  synchronized List<RangeLock> waitedFor() {
    return waiters.stream().map(Waiter::wanted).toList();
  }

  /**
   * Gives everything up: nobody can lock any more.
   *
   * @return completes when the halt lock is given back, if it was held
   */
  CompletableFuture<Integer> close() {
    List<Waiter> refused;
    CompletableFuture<Integer> givenBack;
    synchronized (this) {
      closed = true;
      refused = List.copyOf(waiters);
      givenBack = giveBack();
    }
    refused.forEach(waiter -> waiter.answer().complete(Errno.ENOLCK));
    return givenBack;
  }

  private synchronized CompletableFuture<Integer> lock(
      RangeLock wanted, boolean waits, Object handle) {
    if (closed || locks.isFull()) {
      return CompletableFuture.completedFuture(Errno.ENOLCK);
    }
    Waiter waiter = new Waiter(wanted, waits, handle, new CompletableFuture<>());
    waiters.add(waiter);
    waiter.answer().whenComplete((errno, failure) -> forget(waiter));
    serve();
    if (!waits) {
      waiter.answer().completeOnTimeout(Errno.EAGAIN, PROMPTLY.toMillis(), TimeUnit.MILLISECONDS);
    }
    return waiter.answer();
  }

  private synchronized void forget(Waiter waiter) {
    waiters.remove(waiter);
  }

  private synchronized CompletableFuture<Integer> unlock(RangeLock range) {
    locks.giveUp(range);
    return changed();
  }

  private synchronized void closedBy(long owner) {
    locks.giveUpAllOf(owner);
    changed();
  }

  private synchronized void released(Object handle) {
    locks.giveUpAllThrough(handle);
    changed();
  }

  /** Something was given up. The answer is for who did it. */
  private CompletableFuture<Integer> changed() {
    CompletableFuture<Integer> done =
        locks.writer(HALT).isPresent() ? CompletableFuture.completedFuture(0) : giveBack();
    serve();
    return done;
  }

  /** Gives everybody what can be given now. */
  private void serve() {
    for (Waiter waiter : List.copyOf(waiters)) {
      if (locks.conflict(waiter.wanted()).isPresent()) {
        if (!waiter.waits()) {
          waiter.answer().complete(Errno.EAGAIN);
        }
      } else if (needsHalt(waiter)) {
        takeHalt();
      } else if (waiter.answer().complete(0)) {
        // Only now: who interrupts the wait has either come before, or finds it answered.
        locks.take(waiter.wanted(), waiter.handle());
        log.debug("{}: pid {} has locked its lock file", database, waiter.wanted().pid());
      }
    }
    if (locks.writer(HALT).isEmpty()) {
      giveBack(); // a write lock was made a read lock
    }
  }

  private boolean needsHalt(Waiter waiter) {
    RangeLock wanted = waiter.wanted();
    return wanted.write()
        && wanted.covers(HALT)
        && (halt == null || !halt.isActive())
        && halts.isNeeded();
  }

  private CompletableFuture<Integer> giveBack() {
    HaltSource.Halt taken = halt;
    halt = null;
    if (taken == null) {
      return CompletableFuture.completedFuture(0);
    }
    return CompletableFuture.runAsync(taken::giveBack, executor)
        .handle(
            (nothing, failure) -> {
              if (failure != null) {
                log.error("{}: the halt lock was not given back; it expires", database, failure);
              }
              return 0;
            })
        .completeOnTimeout(0, GIVING_BACK.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void takeHalt() {
    if (!taking) {
      taking = true;
      executor.execute(this::takeHaltNow);
    }
  }

  private void takeHaltNow() {
    HaltSource.Halt taken = null;
    int errno = Errno.ENOLCK;
    String reason = "this node is stopping";
    try {
      taken = halts.take(database);
    } catch (HaltRefusedException e) {
      reason = e.getMessage();
      errno = e.reason() == HaltRefusedException.Reason.BUSY ? Errno.EAGAIN : Errno.ENOLCK;
    } catch (IOException e) {
      reason = String.valueOf(e.getMessage());
    } catch (RuntimeException e) {
      // Nobody else would hear of it, and who waits must have an answer.
      log.error("{}: taking the halt lock failed", database, e);
      reason = e.toString();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    boolean late;
    synchronized (this) {
      taking = false;
      late = closed;
      if (taken == null) {
        refused(errno, reason);
      } else if (!late) {
        unreachableSince = OptionalLong.empty();
        reported = "";
        giveBack(); // one that was lost
        halt = taken;
        serve(); // which gives it back if nobody wants it any more
      }
    }
    if (late && taken != null) {
      taken.giveBack();
    }
  }

  /** The halt lock is not to be had: now, or not at all. */
  private void refused(int errno, String reason) {
    if (errno == Errno.EAGAIN) {
      unreachableSince = OptionalLong.empty();
    } else if (unreachableSince.isEmpty()) {
      unreachableSince = OptionalLong.of(System.nanoTime());
    }
    if (errno != Errno.EAGAIN && !reason.equals(reported)) {
      reported = reason;
      log.warn("{}: its lock file cannot be locked: {}", database, reason);
    }
    boolean last =
        unreachableSince.isPresent()
            && System.nanoTime() - unreachableSince.getAsLong() >= patience.unreachable().toNanos();
    boolean again = false;
    for (Waiter waiter : List.copyOf(waiters)) {
      if (locks.conflict(waiter.wanted()).isPresent() || !needsHalt(waiter)) {
        continue;
      }
      if (waiter.waits() && !last) {
        again = true;
      } else {
        waiter.answer().complete(errno);
      }
    }
    if (!again) {
      unreachableSince = OptionalLong.empty();
      serve(); // this node may have become the primary meanwhile
      return;
    }
    taking = true; // until then
    CompletableFuture.delayedExecutor(patience.retry().toMillis(), TimeUnit.MILLISECONDS, executor)
        .execute(this::takeAgain);
  }

  private synchronized void takeAgain() {
    taking = false;
    serve();
  }

  /** An open handle. */
  private final class Handle implements LockingFile {

    @Override
    public Optional<RangeLock> conflict(RangeLock wanted) {
      synchronized (LockFile.this) {
        return locks.conflict(wanted);
      }
    }

    @Override
    public CompletableFuture<Integer> lock(RangeLock wanted, boolean wait) {
      return LockFile.this.lock(wanted, wait, this);
    }

    @Override
    public CompletableFuture<Integer> unlock(RangeLock range) {
      return LockFile.this.unlock(range);
    }

    @Override
    public void closedBy(long owner) {
      LockFile.this.closedBy(owner);
    }

    @Override
    public void release() {
      released(this);
    }

    @Override
    public CachePolicy cachePolicy() {
      return CachePolicy.DIRECT;
    }

    @Override
    public FileAttributes attributes() {
      return LockFile.this.attributes();
    }

    @Override
    public void read(ByteBuffer into, long offset) {
      // It is empty.
    }

    @Override
    public void write(ByteBuffer from, long offset) throws ErrnoException {
      throw new ErrnoException(Errno.EACCES, "a lock file cannot be written to");
    }

    @Override
    public void truncate(long size) throws ErrnoException {
      requireEmpty(size);
    }

    @Override
    public void fsync(boolean dataOnly) {
      // There is nothing to sync.
    }

    @Override
    public void flush(int pid) {
      // closedBy has seen it, with the owner of the locks.
    }
  }
}

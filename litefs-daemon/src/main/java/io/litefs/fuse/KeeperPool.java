package io.litefs.fuse;

import io.litefs.posix.Errno;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The keeper threads: as many as there are calls at a time, since any call can wait. A thread
 * inherits the descriptor table of the thread that starts it, so all of them are started by one,
 * the spawner, which left the process's table before.
 */
final class KeeperPool {

  /** Idle threads that stay, so that a burst of calls does not begin with starting threads. */
  private static final int KEPT = 2;

  private static final long STACK_BYTES = 256 * 1024;

  private final int signal = Syscalls.claimSignal();
  private final int processId = (int) ProcessHandle.current().pid();
  private final ConcurrentLinkedDeque<Keeper> idle = new ConcurrentLinkedDeque<>();
  private final LinkedBlockingQueue<Runnable> toSpawn = new LinkedBlockingQueue<>();
  private final AtomicInteger size = new AtomicInteger();
  private final AtomicInteger threadNumbers = new AtomicInteger();
  private volatile boolean stopped;

  int signal() {
    return signal;
  }

  int processId() {
    return processId;
  }

  /** How many keeper threads there are. */
  int size() {
    return size.get();
  }

  /** Runs {@code call} on a keeper thread; does not wait for it. */
  void submit(KeeperCall call) {
    Keeper keeper = idle.pollFirst();
    if (keeper != null) {
      keeper.assign(call);
      return;
    }
    synchronized (this) {
      if (!stopped) {
        size.incrementAndGet();
        Thread thread =
            new Thread(
                null,
                new Keeper(this, call),
                "litefs-keeper-" + threadNumbers.incrementAndGet(),
                STACK_BYTES);
        thread.setDaemon(true);
        toSpawn.add(() -> startOrFail(thread, call));
        return;
      }
    }
    call.finish(-Errno.EBADF);
  }

  /**
   * The spawner's loop; ends with {@link #stop}, when nothing is left that was submitted before.
   */
  void spawn() {
    while (!stopped || !toSpawn.isEmpty()) {
      try {
        toSpawn.take().run();
      } catch (InterruptedException e) {
        // Nobody interrupts the spawner; if somebody does, it goes on: calls wait for it.
      }
    }
  }

  /** A keeper has made its call and can take another. */
  void idle(Keeper keeper) {
    idle.addFirst(keeper);
    if (stopped && idle.remove(keeper)) {
      retired(keeper);
    }
  }

  /**
   * Lets a keeper that had nothing to do for long end, unless it is one of those that stay or has
   * just been given a call.
   */
  boolean retire(Keeper keeper) {
    if (size.get() > KEPT && idle.remove(keeper)) {
      size.decrementAndGet();
      return true;
    }
    return false;
  }

  /** Ends the threads; those that are in a call, when it returns. */
  void stop() {
    synchronized (this) {
      stopped = true;
      toSpawn.add(() -> {}); // wakes the spawner
    }
    for (Keeper keeper = idle.pollFirst(); keeper != null; keeper = idle.pollFirst()) {
      retired(keeper);
    }
  }

  private void retired(Keeper keeper) {
    size.decrementAndGet();
    keeper.stop();
  }

  private void startOrFail(Thread thread, KeeperCall call) {
    try {
      thread.start();
    } catch (OutOfMemoryError e) {
      // The limit on threads: this call fails, others may be luckier.
      size.decrementAndGet();
      call.finish(-Errno.EAGAIN);
    }
  }
}

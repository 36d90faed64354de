package io.litefs.daemon.status;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Says that something has changed, to any number of threads that look at all of it anyway. Many
 * changes in a row are one to a thread that is still busy with the first. A change costs the thread
 * that makes it an atomic addition, and a wake-up only for those who sleep.
 */
public final class ChangeSignal {

  private final AtomicLong version = new AtomicLong();
  private final Set<Watcher> watchers = ConcurrentHashMap.newKeySet();
  private volatile boolean over;

  /** Something has changed. Never blocks. */
  public void changed() {
    version.incrementAndGet();
    for (Watcher watcher : watchers) {
      watcher.wake();
    }
  }

  /** A watcher that has seen everything until now. To be used by the calling thread alone. */
  Watcher watch() {
    Watcher watcher = new Watcher();
    watchers.add(watcher);
    if (over) {
      watcher.end();
    }
    return watcher;
  }

  /** Ends all waits, now and later. */
  void end() {
    over = true;
    watchers.forEach(Watcher::end);
  }

  /** One thread that waits for changes. */
  final class Watcher implements AutoCloseable {

    private final Thread thread = Thread.currentThread();
    private volatile boolean sleeping;
    private volatile boolean ended;
    private long seen = version.get();

    private void wake() {
      if (sleeping) {
        sleeping = false;
        LockSupport.unpark(thread);
      }
    }

    /**
     * Waits until something has changed since the last call returned, but at least {@code
     * minMillis} and at most {@code maxMillis}.
     *
     * @return false if the watcher is at its end
     */
    boolean await(long minMillis, long maxMillis) {
      long start = System.nanoTime();
      long soonest = start + TimeUnit.MILLISECONDS.toNanos(minMillis);
      long latest = start + TimeUnit.MILLISECONDS.toNanos(maxMillis);
      while (!ended && !Thread.currentThread().isInterrupted()) {
        long now = System.nanoTime();
        // Asleep first, then the look at the version: a change in between wakes us.
        sleeping = now - soonest >= 0;
        boolean changed = version.get() != seen;
        if (now - latest >= 0 || changed && now - soonest >= 0) {
          break;
        }
        LockSupport.parkNanos(this, (sleeping ? latest : soonest) - now);
      }
      sleeping = false;
      seen = version.get();
      return !ended && !Thread.currentThread().isInterrupted();
    }

    /** Ends the wait. Any thread. */
    void end() {
      ended = true;
      LockSupport.unpark(thread);
    }

    @Override
    public void close() {
      watchers.remove(this);
    }
  }
}

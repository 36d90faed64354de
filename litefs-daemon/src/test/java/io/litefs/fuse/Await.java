package io.litefs.fuse;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;

/** Waits for things that happen outside this process and send no event. */
final class Await {

  private static final long PAUSE_NANOS = 1_000_000;

  private Await() {}

  /** Returns when {@code condition} holds. */
  static void until(String what, Duration atMost, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + atMost.toNanos();
    while (!condition.call()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("not within " + atMost + ": " + what);
      }
      LockSupport.parkNanos(PAUSE_NANOS);
    }
  }
}

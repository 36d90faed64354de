package io.litefs.it;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * Waits for conditions of other processes, of which no event tells (a file of a data directory, a
 * process's end). What an event tells is waited for by the event: see {@link EventStream}.
 */
public final class Await {

  /** Far beyond what anything takes on two busy cores; a test that reaches it has failed. */
  public static final Duration LONG = Duration.ofSeconds(60);

  private static final long FIRST_PAUSE_NANOS = TimeUnit.MICROSECONDS.toNanos(500);
  private static final long LONGEST_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private Await() {}

  /**
   * A condition that may throw: an exception counts as "not yet" and is the cause if time runs out.
   */
  @FunctionalInterface
  public interface Condition {
    boolean holds() throws Exception;
  }

  public static void until(String what, Condition condition) {
    until(LONG, () -> what, condition);
  }

  public static void until(Duration limit, String what, Condition condition) {
    until(limit, () -> what, condition);
  }

  /**
   * Returns once {@code condition} holds.
   *
   * @throws AssertionError naming {@code what} if it does not within {@code limit}
   */
  public static void until(Duration limit, Supplier<String> what, Condition condition) {
    until(limit, what, condition, () -> false);
  }

  /** As above, but fails at once when {@code hopeless} holds. */
  public static void until(
      Duration limit, Supplier<String> what, Condition condition, BooleanSupplier hopeless) {
    long deadline = System.nanoTime() + limit.toNanos();
    long pause = FIRST_PAUSE_NANOS;
    Exception last = null;
    while (true) {
      try {
        if (condition.holds()) {
          return;
        }
        last = null;
      } catch (Exception e) {
        last = e;
      }
      if (hopeless.getAsBoolean()) {
        throw new AssertionError("never: " + what.get(), last);
      }
      if (System.nanoTime() - deadline >= 0) {
        throw new AssertionError("not within " + limit + ": " + what.get(), last);
      }
      LockSupport.parkNanos(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_NANOS);
    }
  }
}

package io.litefs.cluster;

import java.time.InstantSource;

/**
 * How old the data of a replica is: the time since the primary last said, by a heartbeat or by a
 * transaction, "this is all until now". So it rises to the heartbeat's interval (1 s) and falls
 * back while all is well. What this node itself said while it was the primary counts as well. Both
 * clocks matter; a primary whose clock is ahead gives 0. Thread-safe.
 */
final class Lag {

  private final InstantSource clock;

  /** The primary's time of its last word, ms since the epoch; 0 before the first. */
  private volatile long lastWordMillis;

  /** Whether this node has ever had all that the primary had. */
  private volatile boolean synced;

  Lag(InstantSource clock) {
    this.clock = clock;
  }

  /** The primary has said something at {@code primaryMillis} of its clock. */
  void heard(long primaryMillis) {
    lastWordMillis = primaryMillis;
  }

  /** All that existed at the connect has been applied. */
  void synced() {
    synced = true;
  }

  /** This node was the primary until {@code millis} of its clock, so it had all there was. */
  void ledUntil(long millis) {
    synced = true;
    lastWordMillis = millis;
  }

  /** Milliseconds; {@link Integer#MAX_VALUE} before the first sync. */
  long millis() {
    if (!synced || lastWordMillis == 0) {
      return Integer.MAX_VALUE;
    }
    return Math.min(Integer.MAX_VALUE - 1L, Math.max(0, clock.millis() - lastWordMillis));
  }

  long lastWordMillis() {
    return lastWordMillis;
  }
}

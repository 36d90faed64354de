package io.litefs.lease;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;

/**
 * A lease in the hand of this node. Thread-safe. It renews itself until it ends.
 *
 * <p>A lease with a time to live ends by itself when that time has passed since the last renewal
 * that succeeded <em>was sent</em>, measured on the monotonic clock: never later than its keeper
 * may give it to another, also when the keeper hangs, and when this process was stopped meanwhile.
 */
public interface Lease extends AutoCloseable {

  /** Names the lease to its keeper; not empty. */
  String id();

  /** How long the lease lives without a renewal; empty: it does not end. */
  Optional<Duration> timeToLive();

  /**
   * How long the lease is still certain to be this node's; zero if it has ended, {@code timeToLive}
   * at most. Empty: it does not end.
   */
  Optional<Duration> remaining();

  /**
   * For how long the time to live has been over: what this node has noticed too late. Zero while it
   * is not over, and for a lease that does not end.
   */
  Duration overdue();

  /**
   * Whether the lease is this node's at this instant. Costs a volatile read and a look at the
   * clock: to be asked for every commit.
   */
  boolean isHeld();

  /**
   * Waits until the lease ends, was handed off or closed.
   *
   * @param timeout how long to wait at most; not negative
   * @return why it ended, one line; empty if the time is over
   */
  Optional<String> awaitEnd(Duration timeout) throws InterruptedException;

  /**
   * Renews the lease now, so that for a good part of its time to live no renewal is due, or under
   * way: {@link #handOff} would wait for it. Does nothing for a lease that does not end.
   *
   * @throws LeaseException if the lease has ended
   * @throws IOException if its keeper does not answer; the lease goes on
   */
  default void renewNow() throws IOException {
    // It does not end.
  }

  /**
   * Lets go of the lease without giving it back, so that another node can go on with it without a
   * gap: it is not renewed here any more, {@link #close} leaves it alone, and the returned id lets
   * {@link Leaser#takeOver} continue it before its time to live is over. To be called once this
   * node has stopped accepting commits.
   *
   * @throws LeaseException if this kind of lease cannot change hands, or it has ended
   */
  String handOff() throws IOException;

  /**
   * Gives the lease back, so that others need not wait until it ends. Does nothing the second time.
   */
  @Override
  void close() throws IOException;
}

package io.litefs.lease;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;

/**
 * A lease in the hand of this node. Thread-safe.
 *
 * <p>A lease with a time to live ends by itself when that time has passed since the last renewal
 * <em>began</em>, measured on the monotonic clock. The holder must have stopped accepting commits
 * before: also when {@link #renew} hangs, and when the process was paused.
 */
public interface Lease extends AutoCloseable {

  /** Names the lease to its keeper; not empty. */
  String id();

  /** How long the lease lives without a renewal; empty: it does not end. */
  Optional<Duration> timeToLive();

  /**
   * Lets the lease live on for another {@link #timeToLive}, counted from the moment of this call.
   *
   * @throws LeaseException if the lease has ended or was taken; it must not be used any more
   * @throws IOException if the keeper could not be asked; the lease lives on for the rest of its
   *     time, try again
   */
  void renew() throws IOException;

  /**
   * Lets go of the lease without giving it back, so that another node can go on with it without a
   * gap: it is not renewed here any more, {@link #close} leaves it alone, and the returned id lets
   * {@link Leaser#takeOver} continue it before its time to live is over. To be called once this
   * node has stopped accepting commits.
   *
   * @throws LeaseException if this kind of lease cannot change hands; it stays in this hand
   */
  String handOff() throws IOException;

  /**
   * Gives the lease back, so that others need not wait until it ends. Does nothing the second time.
   */
  @Override
  void close() throws IOException;
}

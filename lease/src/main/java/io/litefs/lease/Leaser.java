package io.litefs.lease;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * One node's access to the cluster's lease. Thread-safe. Calls may wait for the network, each for a
 * bounded time; none is made while a lock is held that a commit needs.
 *
 * <p>An {@link IOException} means that the lease's keeper could not be asked: nothing is known
 * then, neither that the lease is free nor that it is held. Its message names the keeper and the
 * reason, on one line.
 */
public interface Leaser extends AutoCloseable {

  /**
   * Tries once to get the lease.
   *
   * @return the lease; empty if another node holds it, or may still believe that it does, or if
   *     this node is not allowed to hold it
   */
  Optional<Lease> acquire() throws IOException;

  /**
   * Takes over a lease that its holder has handed to this node with {@link Lease#handOff}. From
   * then on the lease names this node as the primary.
   *
   * @param leaseId what {@code handOff} returned there
   * @throws LeaseException if the lease with this id has ended; another node may hold one by now
   */
  Lease takeOver(String leaseId) throws IOException;

  /**
   * Does what {@link #takeOver} will have to do, on something that nobody looks at: writers wait
   * for that call, and should wait neither for code that has never run nor for a refusal that could
   * have been known.
   *
   * @throws IOException with the reason why this node could not take over a lease
   */
  default void rehearse() throws IOException {
    // A lease without a keeper asks nobody.
  }

  /**
   * The node that holds the lease now, which may be this one; empty if none does, or if its holder
   * has let it end.
   */
  Optional<PrimaryInfo> primary() throws IOException;

  /**
   * Waits until {@link #primary} differs from {@code known}, without polling.
   *
   * @param timeout how long to wait at most; not negative
   * @return the primary then, or {@code known} when the time is over or this is closed
   */
  Optional<PrimaryInfo> awaitPrimaryOtherThan(Optional<PrimaryInfo> known, Duration timeout)
      throws IOException, InterruptedException;

  /**
   * The cluster's id as it is kept with the lease; empty if none was, or if this kind of lease
   * keeps none.
   */
  Optional<String> clusterId() throws IOException;

  /**
   * Keeps {@code proposed} as the cluster's id unless there is one already. Called by the holder of
   * the lease.
   *
   * @return the cluster's id from now on, which is another than {@code proposed} if there was one
   */
  String establishClusterId(String proposed) throws IOException;

  /**
   * Lets the other nodes know where this one is, so that they can ask it how far it is before they
   * take the lease. Does nothing if this kind of lease has no place for it.
   */
  void announce() throws IOException;

  /**
   * Base URLs of the APIs of the other nodes that announced themselves, at any time in the past.
   */
  Set<URI> peers() throws IOException;

  /**
   * Frees what this holds on this machine and ends waits. A lease in hand is not given back: close
   * that first.
   */
  @Override
  void close();
}

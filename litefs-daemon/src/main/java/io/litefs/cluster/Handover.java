package io.litefs.cluster;

import java.io.IOException;
import java.util.Optional;

/** How the lease gets from a primary to one of the replicas that are connected to it. */
public interface Handover {

  /** The connected candidate that is furthest; empty if there is none. */
  Optional<Long> successor();

  /**
   * Whether the replica may lead, and lacks little. Waits for that, some seconds at most.
   *
   * @throws IOException with the reason if not, or if it is not connected
   */
  void requireFit(long nodeId) throws IOException;

  /**
   * From now on each commit waits until the replica has taken in all but the last few, some
   * milliseconds at most, so that those are all that it lacks when writers are made to wait.
   * Returns when that is so, or after some seconds.
   */
  Pace keepClose(long nodeId);

  /** Commits wait as long as this is open. */
  interface Pace extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Keeps writes of this node's clients for the next primary from now on, and waits a moment at
   * most for those that are being carried out here. To be called once the role is {@link
   * Role#HANDING_OVER}.
   */
  void settle();

  /**
   * Sends the lease's id after everything that was committed, then ends the stream. Returns when it
   * is on its way.
   *
   * @throws IOException if it has not been sent and will not be
   */
  void send(long nodeId, String leaseId) throws IOException;
}

package io.litefs.store;

import java.io.IOException;
import java.time.Instant;

/** Hears of the stream that a replica's store is fed from. Called on the stream's thread. */
public interface ReplicaListener {

  /** For a store that is not fed from anywhere at the moment. */
  ReplicaListener NOBODY =
      new ReplicaListener() {
        @Override
        public void connected(long primaryNodeId, String clusterId) {}

        @Override
        public void ready() {}

        @Override
        public void heartbeat(Instant primaryTime) {}

        @Override
        public void disconnected(Throwable cause) {}
      };

  /**
   * @throws IOException to refuse this primary
   */
  void connected(long primaryNodeId, String clusterId) throws IOException;

  /** All that existed when the stream began has been applied. */
  void ready();

  void heartbeat(Instant primaryTime);

  /**
   * The primary hands its lease over to this node, which has received all that it committed.
   *
   * @throws IOException if this node does not take it
   */
  default void handoff(String leaseId) throws IOException {
    throw new StoreException("the primary handed its lease over, but this node has a static one");
  }

  void disconnected(Throwable cause);
}

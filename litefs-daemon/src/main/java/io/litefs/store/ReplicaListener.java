package io.litefs.store;

import java.io.IOException;
import java.time.Instant;

/** Hears of the stream that a replica's store is fed from. Called on the stream's thread. */
public interface ReplicaListener {

  /**
   * @throws IOException to refuse this primary
   */
  void connected(long primaryNodeId, String clusterId) throws IOException;

  /** All that existed when the stream began has been applied. */
  void ready();

  void heartbeat(Instant primaryTime);

  void disconnected(Throwable cause);
}

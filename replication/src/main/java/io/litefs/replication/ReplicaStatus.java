package io.litefs.replication;

import io.litefs.ltx.Pos;
import java.time.Instant;
import java.util.Map;

/**
 * A replica that is connected to this node, for status and metrics.
 *
 * @param nodeId its id
 * @param address where it connects from, {@code host:port}
 * @param since when it connected
 * @param ready whether it has been sent all that existed then
 * @param positions by database, where it will be once it has applied what was sent
 * @param bytesSent bytes of LTX files
 */
public record ReplicaStatus(
    long nodeId,
    String address,
    Instant since,
    boolean ready,
    Map<String, Pos> positions,
    long bytesSent) {

  /** Copies the positions. */
  public ReplicaStatus {
    positions = Map.copyOf(positions);
  }
}

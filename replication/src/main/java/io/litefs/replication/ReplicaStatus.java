package io.litefs.replication;

import io.litefs.ltx.Pos;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A replica that is connected to this node, for status and metrics.
 *
 * @param nodeId its id
 * @param hostname its name for people; empty if it did not tell one
 * @param address where it connects from, {@code host:port}
 * @param since when it connected
 * @param ready whether it has been sent all that existed then
 * @param filter the databases it wants; empty for all
 * @param candidate whether it may become the primary; empty if it does not say
 * @param positions by database, where it will be once it has applied what was sent
 * @param bytesSent bytes of LTX files
 */
public record ReplicaStatus(
    long nodeId,
    String hostname,
    String address,
    Instant since,
    boolean ready,
    Set<String> filter,
    Optional<Boolean> candidate,
    Map<String, Pos> positions,
    long bytesSent) {

  /** Copies the positions. */
  public ReplicaStatus {
    filter = Set.copyOf(filter);
    positions = Map.copyOf(positions);
  }

  /** Whether the replica has asked for a database of this name. */
  public boolean wants(String database) {
    return filter.isEmpty() || filter.contains(database);
  }
}

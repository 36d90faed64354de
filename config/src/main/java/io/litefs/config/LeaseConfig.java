package io.litefs.config;

import java.net.URI;
import java.time.Duration;
import java.util.List;

/**
 * Who is primary.
 *
 * @param type how the primary is chosen
 * @param hostname this node's name for other nodes (default: the machine's); with a static lease on
 *     a node that is not a candidate, the primary's (default: the host in {@code advertiseUrl})
 * @param advertiseUrl base URL of this node's API for other nodes (default: {@code
 *     http://<hostname>:<port of http.addr>}); with a static lease on a node that is not a
 *     candidate, the primary's, and it must be given
 * @param candidate whether this node may be primary (default true); with a static lease, whether it
 *     is
 * @param promote whether this node takes the lease over from another primary once it is in sync
 *     (default false)
 * @param reconnectDelay time between attempts to reach the primary or to get the lease (default 1
 *     s); positive
 * @param demoteDelay how long a primary that was asked to step down leaves the lease to others
 *     (default 10 s)
 * @param databases names of the databases to replicate; empty (default) is all. Only on nodes that
 *     are not candidates
 * @param consul read if {@code type} is {@link Type#CONSUL}
 * @param syncReplicas how many replicas must have a transaction durably before its commit returns
 *     (default 0)
 * @param syncTimeout how long such a commit waits for them (default 5 s); positive
 * @param onTimeout what happens to it then (default {@link OnTimeout#CONTINUE})
 */
public record LeaseConfig(
    Type type,
    String hostname,
    URI advertiseUrl,
    boolean candidate,
    boolean promote,
    Duration reconnectDelay,
    Duration demoteDelay,
    List<String> databases,
    ConsulConfig consul,
    int syncReplicas,
    Duration syncTimeout,
    OnTimeout onTimeout) {

  public LeaseConfig {
    databases = List.copyOf(databases);
  }

  /** How the primary is chosen. */
  public enum Type {
    /** By a lock in Consul. */
    CONSUL,
    /** By the configuration: the one candidate, for ever. */
    STATIC
  }

  /** What a synchronous commit does when too few replicas have acknowledged it in time. */
  public enum OnTimeout {
    /** It returns success; the lag shows in log and metrics. */
    CONTINUE,
    /** It fails in the application, and is rolled back there. */
    FAIL
  }
}

package io.litefs.daemon.status;

import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * The lease, as far as it concerns this node.
 *
 * @param type as in the configuration: static, consul
 * @param timeToLive how long it lives without a renewal; empty if it does not end
 * @param expires when it ends unless it is renewed; empty if this node does not hold it, or if it
 *     does not end
 */
public record LeaseStatus(String type, Optional<Duration> timeToLive, Optional<Instant> expires) {

  /** A lease that does not end, or in the hand of another node. */
  public static LeaseStatus of(String type) {
    return new LeaseStatus(type, Optional.empty(), Optional.empty());
  }
}

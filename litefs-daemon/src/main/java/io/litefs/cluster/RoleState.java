package io.litefs.cluster;

import io.litefs.lease.PrimaryInfo;
import java.time.Instant;
import java.util.Optional;

/**
 * The role at one moment.
 *
 * @param primary the primary that this node is connected to; there if and only if it is a replica
 * @param since when this state began
 */
public record RoleState(Role role, Optional<PrimaryInfo> primary, Instant since) {

  public RoleState {
    if (primary.isPresent() != (role == Role.REPLICA)) {
      throw new IllegalArgumentException(
          "a replica has a primary, no other node has: " + role + " " + primary);
    }
  }

  /** Whether this node is the primary to others; one that hands over is it until it has. */
  public boolean isPrimary() {
    return role == Role.PRIMARY || role == Role.HANDING_OVER;
  }

  /** The primary's hostname; null unless this node is connected to it as a replica. */
  public String primaryHostname() {
    return primary.map(PrimaryInfo::hostname).orElse(null);
  }

  boolean sameAs(Role otherRole, Optional<PrimaryInfo> otherPrimary) {
    return role == otherRole && primary.equals(otherPrimary);
  }
}

package io.litefs.cluster;

import java.util.Locale;

/** What a node is in its cluster. */
public enum Role {
  /** No primary is connected, and this node is none. Its databases can be read and may be old. */
  SEARCHING,
  /** Connected to the primary, whose transactions are applied here. */
  REPLICA,
  /** The one node that accepts writes. */
  PRIMARY,
  /** The primary, whose writers wait until another node has taken the lease over. */
  HANDING_OVER,
  /** Was the primary until a moment ago; refuses writes, and looks for the one that is now. */
  DEMOTED;

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }
}

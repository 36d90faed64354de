package io.litefs.cluster;

/** What a node is in its cluster. */
public enum Role {
  /** No primary is connected, and this node is none. Its databases can be read and may be old. */
  SEARCHING,
  /** Connected to the primary, whose transactions are applied here. */
  REPLICA,
  /** The one node that accepts writes. */
  PRIMARY;

  @Override
  public String toString() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }
}

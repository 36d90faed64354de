package io.litefs.replication;

import java.util.OptionalLong;

/** The random 64-bit id of a node as text: 16 upper-case hex digits, header {@code Litefs-Id}. */
public final class NodeId {

  /** Header with the id of the node that sends it. */
  public static final String HEADER = "Litefs-Id";

  /** Header with the id of the cluster that the node belongs to. */
  public static final String CLUSTER_HEADER = "Litefs-Cluster-Id";

  /**
   * Header by which a replica tells whether it may become the primary: {@code true} or {@code
   * false}. Other implementations do not send it.
   */
  static final String CANDIDATE_HEADER = "litefs-candidate";

  /**
   * Header by which a node that is about to lead asks any other node for the transactions that it
   * has lost: {@code true}. Other implementations neither send nor know it.
   */
  static final String TAIL_HEADER = "litefs-tail";

  private NodeId() {}

  /** The text form. */
  public static String format(long id) {
    return String.format("%016X", id);
  }

  /** Reads 16 hex digits of either case; empty if {@code text} is null or anything else. */
  public static OptionalLong parse(String text) {
    if (text == null || text.length() != 16) {
      return OptionalLong.empty();
    }
    for (int i = 0; i < 16; i++) {
      if (Character.digit(text.charAt(i), 16) < 0 || text.charAt(i) > 'f') {
        return OptionalLong.empty();
      }
    }
    return OptionalLong.of(Long.parseUnsignedLong(text, 16));
  }
}

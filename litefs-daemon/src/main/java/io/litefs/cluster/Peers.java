package io.litefs.cluster;

import io.litefs.ltx.Pos;
import java.io.IOException;
import java.net.URI;
import java.util.Map;

/** What nodes ask of each other over their APIs. Each call takes a bounded time. */
public interface Peers {

  /**
   * What a node says of itself.
   *
   * @param clusterId null if it belongs to none
   */
  record Standing(
      String hostname,
      String clusterId,
      boolean isPrimary,
      boolean candidate,
      Map<String, Pos> positions) {}

  /** Asks one node. */
  Standing standing(URI node) throws IOException;

  /**
   * Asks the primary to hand its lease to this node.
   *
   * @throws IOException with the reason if it does not
   */
  void askForLease(URI primary) throws IOException;
}

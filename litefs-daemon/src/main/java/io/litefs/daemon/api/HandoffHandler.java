package io.litefs.daemon.api;

import io.litefs.cluster.Cluster;
import io.litefs.replication.Exchange;
import java.io.IOException;
import java.util.Optional;

/** {@code POST /handoff?nodeID=}: hands the lease to a connected replica. */
public final class HandoffHandler implements Exchange.Handler {

  private final Cluster cluster;

  public HandoffHandler(Cluster cluster) {
    this.cluster = cluster;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    Optional<Long> node = exchange.query("nodeID").flatMap(HandoffHandler::parse);
    if (node.isEmpty()) {
      exchange.respondText(400, "nodeID must be the id of a replica, 16 hex digits");
      return;
    }
    cluster.handOff(node.get());
    exchange.respond(200, "text/plain", 0).close();
  }

  private static Optional<Long> parse(String text) {
    try {
      return Optional.of(Long.parseUnsignedLong(text, 16));
    } catch (NumberFormatException e) {
      return Optional.empty();
    }
  }
}

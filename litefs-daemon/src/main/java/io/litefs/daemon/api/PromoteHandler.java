package io.litefs.daemon.api;

import io.litefs.cluster.Cluster;
import io.litefs.cluster.NoCandidateException;
import io.litefs.replication.Exchange;
import java.io.IOException;

/**
 * {@code POST /promote}: makes this node the primary. 409 on a node that is no candidate, 200 once
 * it is primary, 500 with the reason otherwise.
 */
public final class PromoteHandler implements Exchange.Handler {

  private final Cluster cluster;

  public PromoteHandler(Cluster cluster) {
    this.cluster = cluster;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    try {
      cluster.promote();
    } catch (NoCandidateException e) {
      exchange.respondText(409, e.getMessage());
      return;
    }
    exchange.respond(200, "text/plain", 0).close();
  }
}

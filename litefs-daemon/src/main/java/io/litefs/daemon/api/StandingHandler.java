package io.litefs.daemon.api;

import io.litefs.ltx.Pos;
import io.litefs.replication.Exchange;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Map;
import java.util.function.Supplier;

/**
 * {@code GET /litefs/standing}: how far this node is, which the others ask before one of them takes
 * a lease that is free. {@code {hostname, clusterID, isPrimary, candidate, positions: {db:
 * "txid/checksum"}}}.
 */
public final class StandingHandler implements Exchange.Handler {

  private final String hostname;
  private final Supplier<NodeView> node;
  private final Supplier<Map<String, Pos>> positions;

  public StandingHandler(
      String hostname, Supplier<NodeView> node, Supplier<Map<String, Pos>> positions) {
    this.hostname = hostname;
    this.node = node;
    this.positions = positions;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    NodeView view = node.get();
    byte[] body =
        Json.line(
            out -> {
              out.writeStringField("hostname", hostname);
              Json.optional(out, "clusterID", view.clusterId());
              out.writeBooleanField("isPrimary", view.isPrimary());
              out.writeBooleanField("candidate", view.candidate());
              out.writeObjectFieldStart("positions");
              for (Map.Entry<String, Pos> each : positions.get().entrySet()) {
                out.writeStringField(each.getKey(), each.getValue().toString());
              }
              out.writeEndObject();
            });
    try (OutputStream out = exchange.respond(200, Json.CONTENT_TYPE, body.length)) {
      out.write(body);
    }
  }
}

package io.litefs.daemon.api;

import io.litefs.replication.Exchange;
import java.io.IOException;
import java.io.OutputStream;
import java.util.function.Supplier;

/** {@code GET /info}: what this node is. */
public final class InfoHandler implements Exchange.Handler {

  private final Supplier<NodeView> node;

  public InfoHandler(Supplier<NodeView> node) {
    this.node = node;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    byte[] body = body(node.get());
    try (OutputStream out = exchange.respond(200, Json.CONTENT_TYPE, body.length)) {
      out.write(body);
    }
  }

  static byte[] body(NodeView node) {
    return Json.line(
        out -> {
          Json.optional(out, "clusterID", node.clusterId());
          out.writeBooleanField("isPrimary", node.isPrimary());
          out.writeBooleanField("candidate", node.candidate());
          out.writeStringField("path", node.path());
          if (node.primaryHostname() != null && !node.primaryHostname().isEmpty()) {
            out.writeObjectFieldStart("primary");
            out.writeStringField("hostname", node.primaryHostname());
            out.writeEndObject();
          }
        });
  }
}

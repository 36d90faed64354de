package io.litefs.daemon.api;

import io.litefs.replication.Exchange;
import java.io.IOException;
import java.io.OutputStream;
import java.util.function.Consumer;

/** {@code GET /metrics}: counters for Prometheus. */
public final class MetricsHandler implements Exchange.Handler {

  private final Consumer<PrometheusText> collector;

  /**
   * @param collector writes all metrics as they are at the moment
   */
  public MetricsHandler(Consumer<PrometheusText> collector) {
    this.collector = collector;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    PrometheusText text = new PrometheusText();
    collector.accept(text);
    byte[] body = text.bytes();
    try (OutputStream out = exchange.respond(200, PrometheusText.CONTENT_TYPE, body.length)) {
      out.write(body);
    }
  }
}

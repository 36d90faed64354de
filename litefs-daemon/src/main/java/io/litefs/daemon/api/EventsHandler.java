package io.litefs.daemon.api;

import io.litefs.replication.Exchange;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** {@code GET /events}: newline-delimited JSON, until the reader goes or falls too far behind. */
public final class EventsHandler implements Exchange.Handler {

  private static final Logger log = LoggerFactory.getLogger(EventsHandler.class);

  private final EventFeed feed;

  public EventsHandler(EventFeed feed) {
    this.feed = feed;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    try (EventFeed.Subscription subscription = feed.subscribe(() -> cutOff(exchange))) {
      exchange.onClose(subscription::close);
      send(exchange, subscription);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("the server is closing", e);
    }
  }

  private static void cutOff(Exchange exchange) {
    log.warn(
        "a reader of /events at {} is {} events behind and is disconnected",
        exchange.remoteAddress(),
        EventFeed.CAPACITY);
    exchange.abort("too far behind");
  }

  private static void send(Exchange exchange, EventFeed.Subscription subscription)
      throws IOException, InterruptedException {
    try (OutputStream out = exchange.respond(200, "application/x-ndjson", -1)) {
      for (List<byte[]> events = subscription.take();
          !events.isEmpty();
          events = subscription.take()) {
        for (byte[] event : events) {
          out.write(event);
        }
        out.flush();
      }
    }
  }
}

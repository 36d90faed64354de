package io.litefs.daemon.status;

import io.litefs.replication.Exchange;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/**
 * {@code GET /litefs/status}: HTML, JSON or text, whichever {@code Accept} names first of these;
 * HTML if none. {@code ?view=databases} gives the databases alone, as JSON or text. {@code GET
 * /litefs/status.json} is JSON whatever is accepted.
 */
public final class StatusHandler implements Exchange.Handler {

  private final StatusCollector collector;
  private final boolean jsonOnly;

  private StatusHandler(StatusCollector collector, boolean jsonOnly) {
    this.collector = collector;
    this.jsonOnly = jsonOnly;
  }

  public static StatusHandler page(StatusCollector collector) {
    return new StatusHandler(collector, false);
  }

  public static StatusHandler json(StatusCollector collector) {
    return new StatusHandler(collector, true);
  }

  private enum Form {
    HTML,
    JSON,
    TEXT
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    String view = exchange.query("view").orElse("");
    if (!view.isEmpty() && !view.equals("databases")) {
      exchange.respondText(400, "view '" + view + "' is not known; allowed: databases");
      return;
    }
    Form form = jsonOnly ? Form.JSON : accepted(exchange.header("Accept").orElse(""));
    NodeStatus status = collector.collect();
    exchange.setHeader("Cache-Control", "no-store");
    exchange.setHeader("Vary", "Accept");
    switch (form) {
      case JSON ->
          send(
              exchange,
              "application/json",
              view.isEmpty() ? StatusJson.all(status) : StatusJson.databases(status));
      case TEXT -> {
        String text = view.isEmpty() ? StatusText.all(status) : StatusText.databases(status);
        send(exchange, "text/plain; charset=utf-8", text.getBytes(StandardCharsets.UTF_8));
      }
      case HTML -> {
        exchange.setHeader("Content-Security-Policy", StatusPage.CONTENT_SECURITY_POLICY);
        exchange.setHeader("X-Content-Type-Options", "nosniff");
        exchange.setHeader("Referrer-Policy", "no-referrer");
        String html = StatusPage.document(status);
        send(exchange, "text/html; charset=utf-8", html.getBytes(StandardCharsets.UTF_8));
      }
    }
  }

  /** The first that is known; no client of ours weighs them. */
  private static Form accepted(String accept) {
    for (String range : accept.toLowerCase(Locale.ROOT).split(",")) {
      switch (range.split(";", 2)[0].strip()) {
        case "text/html" -> {
          return Form.HTML;
        }
        case "application/json" -> {
          return Form.JSON;
        }
        case "text/plain" -> {
          return Form.TEXT;
        }
        default -> {
          // The next one.
        }
      }
    }
    return Form.HTML;
  }

  private static void send(Exchange exchange, String type, byte[] body) throws IOException {
    try (OutputStream out = exchange.respond(200, type, body.length)) {
      out.write(body);
    }
  }
}

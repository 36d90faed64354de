package io.litefs.daemon.status;

import io.litefs.replication.Exchange;
import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/**
 * {@code GET /litefs/status/stream}: server-sent events, each with the status as it is then, as
 * HTML sections ({@code ?form=html}, the default), text or JSON. One comes when something has
 * changed, and every {@value #MAX_MILLIS} ms anyway, since ages and lags change by themselves.
 */
public final class StatusStreamHandler implements Exchange.Handler, Closeable {

  /** A busy primary changes thousands of times a second; nobody reads that fast. */
  private static final long MIN_MILLIS = 1000;

  private static final long MAX_MILLIS = 2000;

  /** Of the time, at most one part in this many goes into looking. */
  private static final long SHARE = 10;

  private final StatusCollector collector;
  private final ChangeSignal changes;

  public StatusStreamHandler(StatusCollector collector, ChangeSignal changes) {
    this.collector = collector;
    this.changes = changes;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    String form = exchange.query("form").orElse("html");
    if (!form.equals("html") && !form.equals("text") && !form.equals("json")) {
      exchange.respondText(400, "form '" + form + "' is not known; allowed: html, json, text");
      return;
    }
    exchange.setHeader("Cache-Control", "no-store");
    try (ChangeSignal.Watcher watcher = changes.watch()) {
      exchange.onClose(watcher::end);
      try (OutputStream out = exchange.respond(200, "text/event-stream", -1)) {
        long pause;
        do {
          long start = System.nanoTime();
          out.write(event(form));
          out.flush();
          long spent = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
          pause = Math.max(MIN_MILLIS, spent * SHARE);
        } while (watcher.await(pause, Math.max(pause, MAX_MILLIS)));
      }
    }
  }

  private byte[] event(String form) {
    NodeStatus status = collector.collect();
    String body =
        switch (form) {
          case "json" -> new String(StatusJson.all(status), StandardCharsets.UTF_8);
          case "text" -> StatusText.all(status);
          default -> StatusPage.sections(status);
        };
    StringBuilder event = new StringBuilder(body.length() + 512);
    body.lines().forEach(line -> event.append("data: ").append(line).append('\n'));
    return event.append('\n').toString().getBytes(StandardCharsets.UTF_8);
  }

  /** Ends all streams, now and later. */
  @Override
  public void close() {
    changes.end();
  }
}

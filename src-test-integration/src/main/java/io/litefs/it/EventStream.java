package io.litefs.it;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * A subscription to a node's {@code GET /events}: every event that came, in order, and waiting for
 * the next.
 */
public final class EventStream implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final InputStream body;
  private final List<JsonNode> events = new ArrayList<>();
  private boolean ended;

  /**
   * Subscribes; returns after the first event, {@code init}, so that nothing that happens from now
   * on is missed.
   */
  public EventStream(Http http) {
    body = http.open("/events").body();
    Thread reader = new Thread(this::read, "events");
    reader.setDaemon(true);
    reader.start();
    await(Await.LONG, "the event init", event -> event.path("type").asText().equals("init"));
  }

  private void read() {
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(body, StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        JsonNode event = JSON.readTree(line);
        synchronized (this) {
          events.add(event);
          notifyAll();
        }
      }
    } catch (IOException | UncheckedIOException e) {
      // The node ended or this stream was closed: the same to those who wait.
    }
    synchronized (this) {
      ended = true;
      notifyAll();
    }
  }

  public synchronized List<JsonNode> all() {
    return List.copyOf(events);
  }

  public synchronized boolean ended() {
    return ended;
  }

  /** Waits for an event that came already or is still to come. */
  public synchronized JsonNode await(Duration limit, String what, Predicate<JsonNode> wanted) {
    long deadline = System.nanoTime() + limit.toNanos();
    int seen = 0;
    while (true) {
      for (; seen < events.size(); seen++) {
        if (wanted.test(events.get(seen))) {
          return events.get(seen);
        }
      }
      if (!waitUntil(deadline)) {
        throw new AssertionError(
            "no event within "
                + limit
                + (ended ? " (the stream ended)" : "")
                + ": "
                + what
                + "; there were "
                + events);
      }
    }
  }

  /**
   * Waits for any event beyond the first {@code count}, at most {@code millis}; true if there is
   * one.
   */
  synchronized boolean awaitMoreThan(int count, long millis) {
    long deadline = System.nanoTime() + millis * 1_000_000L;
    while (events.size() <= count) {
      if (!waitUntil(deadline)) {
        return false;
      }
    }
    return true;
  }

  synchronized int count() {
    return events.size();
  }

  private boolean waitUntil(long deadline) {
    long millis = (deadline - System.nanoTime()) / 1_000_000L;
    if (millis <= 0 || ended) {
      return false;
    }
    try {
      wait(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    return true;
  }

  @Override
  public void close() {
    try {
      body.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

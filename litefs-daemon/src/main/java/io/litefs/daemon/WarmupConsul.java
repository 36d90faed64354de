package io.litefs.daemon;

import io.litefs.replication.ApiServer;
import io.litefs.replication.Exchange;
import java.io.Closeable;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/**
 * As much of Consul as two nodes need to elect one of them and to hand over the lease: locked keys,
 * and waiting for their changes. Sessions do not end by themselves.
 *
 * <p>Thread-safe.
 */
final class WarmupConsul implements Closeable {

  private static final Duration LONGEST_WAIT = Duration.ofSeconds(10);

  /** More than are asked for. */
  private static final int SESSIONS = 8;

  private record Entry(String value, String session, long index) {}

  private final String key;
  private final ApiServer server;

  // Guarded by this.
  private final Map<String, Entry> entries = new TreeMap<>();
  private long index = 1;
  private int sessions;
  private boolean closed;

  /**
   * @param key of the lease
   * @param advertiseUrls of the nodes
   */
  WarmupConsul(String key, List<String> advertiseUrls) throws IOException {
    this.key = key;
    Map<String, Exchange.Handler> routes = new HashMap<>();
    routes.put("PUT /v1/session/create", this::createSession);
    routes.put("PUT /v1/txn", exchange -> answer(exchange, "{\"Results\":[],\"Errors\":null}"));
    for (int i = 0; i < SESSIONS; i++) {
      String session = session(i);
      String renewed =
          "[{\"ID\":\"%s\",\"Node\":\"warmup\",\"Behavior\":\"delete\",\"LockDelay\":0,\"CreateIndex\":1}]"
              .formatted(session);
      routes.put("PUT /v1/session/renew/" + session, exchange -> answer(exchange, renewed));
      routes.put("PUT /v1/session/destroy/" + session, exchange -> destroy(exchange, session));
    }
    addKey(routes, key);
    addKey(routes, key + "/clusterid");
    addKey(routes, key + "/nodes/");
    for (String url : advertiseUrls) {
      UUID name = UUID.nameUUIDFromBytes(url.getBytes(StandardCharsets.UTF_8));
      addKey(routes, key + "/nodes/" + name);
      addKey(routes, key + "/rehearsals/" + name);
    }
    server =
        new ApiServer(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), routes, Map::of);
    server.start();
  }

  private void addKey(Map<String, Exchange.Handler> routes, String name) {
    routes.put("GET /v1/kv/" + name, exchange -> get(exchange, name));
    routes.put("PUT /v1/kv/" + name, exchange -> put(exchange, name));
  }

  URI url() {
    return URI.create("http://127.0.0.1:" + server.port());
  }

  private static String session(int number) {
    return new UUID(0, number).toString();
  }

  private static void answer(Exchange exchange, String json) throws IOException {
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    try (var out = exchange.respond(200, "application/json", bytes.length)) {
      out.write(bytes);
    }
  }

  private synchronized void createSession(Exchange exchange) throws IOException {
    answer(exchange, "{\"ID\":\"" + session(sessions++) + "\"}");
  }

  private synchronized void destroy(Exchange exchange, String session) throws IOException {
    if (entries.values().removeIf(entry -> entry.session().equals(session))) {
      changed();
    }
    answer(exchange, "true");
  }

  private synchronized void put(Exchange exchange, String name) throws IOException {
    String value = new String(exchange.body().readAllBytes(), StandardCharsets.UTF_8);
    String session = exchange.query("acquire").orElse("");
    Entry present = entries.get(name);
    boolean free =
        present == null || present.session().isEmpty() || present.session().equals(session);
    boolean done = exchange.query("cas").isPresent() ? present == null : free;
    if (done) {
      changed();
      entries.put(name, new Entry(value, session, index));
    }
    answer(exchange, Boolean.toString(done));
  }

  private void changed() {
    index++;
    notifyAll();
  }

  private void get(Exchange exchange, String name) throws IOException {
    long known = exchange.query("index").map(Long::parseLong).orElse(0L);
    StringBuilder json = new StringBuilder();
    synchronized (this) {
      awaitLaterThan(known);
      exchange.setHeader("X-Consul-Index", Long.toString(index));
      entries.forEach(
          (k, entry) -> {
            if (k.startsWith(name) && (k.equals(name) || !name.equals(key))) {
              json.append(json.isEmpty() ? '[' : ',').append(json(k, entry));
            }
          });
    }
    if (json.isEmpty()) {
      exchange.respondText(404, "no such key");
    } else {
      answer(exchange, json.append(']').toString());
    }
  }

  private void awaitLaterThan(long known) throws IOException {
    long deadline = System.nanoTime() + LONGEST_WAIT.toNanos();
    try {
      for (long left = 1; index <= known && !closed && left > 0; ) {
        left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
        wait(Math.max(1, left));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private static String json(String key, Entry entry) {
    String value =
        Base64.getEncoder().encodeToString(entry.value().getBytes(StandardCharsets.UTF_8));
    String session = entry.session().isEmpty() ? "" : ",\"Session\":\"" + entry.session() + "\"";
    return "{\"Key\":\"%s\",\"Value\":\"%s\",\"Flags\":0,\"LockIndex\":0,\"CreateIndex\":1,\"ModifyIndex\":%d%s}"
        .formatted(key, value, entry.index(), session);
  }

  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      notifyAll();
    }
    server.close();
  }
}

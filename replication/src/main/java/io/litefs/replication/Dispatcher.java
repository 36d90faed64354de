package io.litefs.replication;

import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds the handler of a request and runs it on a worker thread. */
final class Dispatcher {
  private static final Logger log = LoggerFactory.getLogger(ApiServer.class);

  private static final long IDLE_WORKER_SECONDS = 30;

  private final Map<String, Map<String, Exchange.Handler>> routes = new HashMap<>();
  private final Supplier<Map<String, String>> commonHeaders;
  private final ThreadPoolExecutor workers;
  private final Set<ServerExchange> running = ConcurrentHashMap.newKeySet();
  private volatile boolean closing;

  /**
   * @param routes handlers by {@code "METHOD /path"}
   * @throws IllegalArgumentException if a key is no such thing
   */
  Dispatcher(
      Map<String, Exchange.Handler> routes,
      Supplier<Map<String, String>> commonHeaders,
      int maxExchanges) {
    routes.forEach(
        (key, handler) -> {
          String[] parts = key.split(" ");
          if (parts.length != 2 || !parts[1].startsWith("/")) {
            throw new IllegalArgumentException("route \"" + key + "\" is not \"METHOD /path\"");
          }
          this.routes.computeIfAbsent(parts[1], p -> new TreeMap<>()).put(parts[0], handler);
        });
    this.commonHeaders = commonHeaders;
    AtomicInteger number = new AtomicInteger();
    this.workers =
        new ThreadPoolExecutor(
            0,
            maxExchanges,
            IDLE_WORKER_SECONDS,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            task -> {
              Thread t = new Thread(task, "litefs-api-worker-" + number.incrementAndGet());
              t.setDaemon(true);
              return t;
            });
  }

  /** Handles a request whose header is complete. Event loop; never blocks. */
  void dispatch(ServerExchange exchange) {
    String path;
    try {
      path = exchange.path();
      exchange.query("");
    } catch (IllegalArgumentException e) {
      answer(exchange, 400, "malformed request target");
      return;
    }
    if (!path.equals("/metrics") && !path.startsWith("/debug/")) {
      commonHeaders.get().forEach(exchange::setHeader);
    }
    Map<String, Exchange.Handler> methods = routes.get(path);
    if (methods == null) {
      answer(exchange, 404, "no such page: " + path);
      return;
    }
    String method = exchange.method();
    Exchange.Handler handler = methods.get(method);
    if (handler == null && method.equals("HEAD")) {
      handler = methods.get("GET");
    }
    if (handler == null) {
      exchange.setHeader("Allow", String.join(", ", methods.keySet()));
      answer(exchange, 405, "method " + method + " is not allowed for " + path);
      return;
    }
    start(exchange, handler);
  }

  private void start(ServerExchange exchange, Exchange.Handler handler) {
    running.add(exchange);
    exchange.onClose(() -> running.remove(exchange));
    if (closing) {
      answer(exchange, 503, "server is closing");
      return;
    }
    try {
      workers.execute(() -> run(exchange, handler));
    } catch (RejectedExecutionException e) {
      answer(
          exchange,
          503,
          closing ? "server is closing" : "too many requests are in progress, try again later");
    }
  }

  private static void run(ServerExchange exchange, Exchange.Handler handler) {
    try {
      handler.handle(exchange);
      if (exchange.isAnswered()) {
        exchange.closeResponse();
      } else {
        exchange.respondText(500, "no answer");
      }
    } catch (IOException | RuntimeException | Error e) {
      // The border between handlers and HTTP: whatever went wrong ends this exchange and no other.
      failed(exchange, e);
    }
  }

  private static void failed(ServerExchange exchange, Throwable e) {
    String what = exchange.method() + " " + exchange.path();
    if (exchange.isBroken() || e instanceof PeerGoneException) {
      // Nobody is there to be told, and no fault of this node.
      log.debug("{} from {} broken off: {}", what, exchange.remoteAddress(), e.toString());
      if (!exchange.isAnsweredWhole()) {
        exchange.abort(e.getMessage());
      }
      return;
    }
    String reason = e.getMessage() == null ? e.toString() : e.getMessage();
    if (e instanceof IOException) {
      log.warn("{} from {} failed: {}", what, exchange.remoteAddress(), reason);
    } else {
      log.error("{} from {} failed", what, exchange.remoteAddress(), e);
    }
    if (exchange.isAnsweredWhole()) {
      return;
    }
    if (exchange.isAnswered()) {
      exchange.abort(reason);
    } else {
      answer(exchange, 500, reason);
    }
  }

  private static void answer(ServerExchange exchange, int status, String line) {
    try {
      exchange.respondText(status, line);
    } catch (IOException e) {
      log.debug("answer {} to {} is lost: {}", status, exchange.remoteAddress(), e.getMessage());
    }
  }

  /**
   * Refuses new requests, waits until those that run are over and breaks off what is left then.
   * Threads are not interrupted: that would close files under them.
   */
  void close(Duration patience) {
    closing = true;
    workers.shutdown();
    boolean done = awaitWorkers(patience);
    running.forEach(exchange -> exchange.abort("server is closing"));
    if (!done && !awaitWorkers(patience)) {
      log.warn("{} requests did not end when the server closed", workers.getActiveCount());
    }
  }

  private boolean awaitWorkers(Duration patience) {
    try {
      return workers.awaitTermination(patience.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}

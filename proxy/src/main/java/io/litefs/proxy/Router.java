package io.litefs.proxy;

import io.litefs.proxy.PrimaryLocator.Primary;
import io.litefs.proxy.ProxyOptions.Forwarding;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where a request goes: to the application here, to the primary's proxy, or nowhere.
 *
 * <pre>
 *   /litefs/health          answered here
 *   passthrough             the application, whatever else it is
 *   read                    the application, once its databases have reached the client's TXIDs
 *   write, primary is here  the application; the answer tells the client the new TXIDs
 *   write, primary known    the primary (or a replay, or a refusal: proxy.forward)
 *   write, none known       waits for one
 * </pre>
 *
 * Nothing here blocks: whatever must be waited for calls back, on the client's event loop.
 */
final class Router {

  static final String HEALTH = "/litefs/health";

  private static final Logger log = LoggerFactory.getLogger(Router.class);
  private static final HttpResponseStatus LOOP_DETECTED =
      HttpResponseStatus.valueOf(508, "Loop Detected");
  private static final Supplier<String> NO_MARKS = () -> "";
  private static final long FIRST_PAUSE_MILLIS = 10;
  private static final long LONGEST_PAUSE_MILLIS = 500;

  private final ProxyOptions options;
  private final PositionSource positions;
  private final PrimaryLocator primary;
  private final TxidMarks marks;
  private final LocalWrites localWrites;
  private final Hop hop;
  private final PathPatterns passthrough;
  private final PathPatterns alwaysForward;

  Router(
      ProxyOptions options,
      PositionSource positions,
      PrimaryLocator primary,
      LocalWrites localWrites,
      Hop hop) {
    this.options = options;
    this.positions = positions;
    this.primary = primary;
    this.localWrites = localWrites;
    this.hop = hop;
    this.marks = new TxidMarks(options.databases(), positions);
    this.passthrough = new PathPatterns(options.passthrough());
    this.alwaysForward = new PathPatterns(options.alwaysForward());
  }

  void route(Exchange exchange) {
    RequestHead request = exchange.request();
    String path = request.path();
    if (path.equals(HEALTH)) {
      health(exchange);
    } else if (Hop.count(request.headers()) > Hop.MAX) {
      exchange.answer(LOOP_DETECTED, "the request has passed too many proxies", "");
    } else if (passthrough.matches(path)) {
      new ToTarget(exchange, NO_MARKS, null).go();
    } else if (request.isRead() && !alwaysForward.matches(path)) {
      read(exchange);
    } else {
      new Write(exchange).go();
    }
  }

  private void health(Exchange exchange) {
    Duration lag = positions.lag();
    if (lag.compareTo(options.maxLag()) <= 0) {
      exchange.answer(HttpResponseStatus.OK, "OK", "");
      return;
    }
    String behind =
        lag.compareTo(Duration.ofDays(20)) > 0
            ? "this node has not been in sync yet"
            : "this node is " + lag.toMillis() + " ms behind the primary";
    exchange.answer(HttpResponseStatus.SERVICE_UNAVAILABLE, behind, "");
  }

  /** Runs on the exchange's event loop, unless the exchange is over by then. */
  private static void resume(Exchange exchange, Runnable step) {
    Runnable guarded =
        () -> {
          if (!exchange.isEnded()) {
            step.run();
          }
        };
    var loop = exchange.client().pool().loop();
    if (loop.inEventLoop()) {
      guarded.run();
    } else if (!loop.isShuttingDown()) {
      loop.execute(guarded);
    }
  }

  // ------------------------------------------------------------ reads

  private void read(Exchange exchange) {
    if (isPrimary()) {
      // Nobody is further than the primary: what it lacks is lost, and not worth a wait.
      long[] before = marks.now();
      new ToTarget(exchange, () -> marksIfMoved(before), null).go();
      return;
    }
    long[] required = marks.required(exchange.request().headers());
    if (required == null) {
      new ToTarget(exchange, NO_MARKS, null).go();
    } else {
      awaitTxids(
          exchange, required, 0, System.nanoTime() + options.limits().txidTimeout().toNanos());
    }
  }

  private boolean isPrimary() {
    return primary.primary().map(Primary::isSelf).orElse(false);
  }

  /** A read that wrote: or somebody else did meanwhile, which cannot be told apart. */
  private String marksIfMoved(long[] before) {
    long[] now = marks.now();
    return Arrays.equals(before, now) ? "" : marks.fields(now);
  }

  private void awaitTxids(Exchange exchange, long[] required, int from, long deadlineNanos) {
    for (int i = from; i < required.length; i++) {
      String database = marks.database(i);
      if (required[i] == 0 || positions.txid(database).orElse(0) >= required[i]) {
        continue;
      }
      int waitingFor = i;
      CompletionStage<Boolean> reached =
          positions.await(
              database,
              required[i],
              Duration.ofNanos(Math.max(0, deadlineNanos - System.nanoTime())));
      reached.thenAccept(
          yes ->
              resume(
                  exchange,
                  () -> {
                    if (yes) {
                      awaitTxids(exchange, required, waitingFor + 1, deadlineNanos);
                    } else {
                      notReached(exchange, database, required[waitingFor]);
                    }
                  }));
      return;
    }
    new ToTarget(exchange, NO_MARKS, null).go();
  }

  private void notReached(Exchange exchange, String database, long txid) {
    if (isPrimary()) {
      read(exchange);
      return;
    }
    exchange.answer(
        HttpResponseStatus.GATEWAY_TIMEOUT,
        String.format(
            "%s is at %016x here, and %016x was asked for",
            printable(database), positions.txid(database).orElse(0), txid),
        "");
  }

  private static String printable(String name) {
    return name.replaceAll("[^ -~]", "?");
  }

  // ------------------------------------------------------------ to the application

  /** Sends a request to the application, which may need time to begin to listen. */
  private final class ToTarget {

    private final Exchange exchange;
    private final Supplier<String> marksToGive;
    private final Runnable again;
    private final long deadlineNanos =
        System.nanoTime() + options.limits().targetPatience().toNanos();
    private long pauseMillis = FIRST_PAUSE_MILLIS;

    /**
     * @param again what to do instead of a further attempt; null for the attempt
     */
    ToTarget(Exchange exchange, Supplier<String> marksToGive, Runnable again) {
      this.exchange = exchange;
      this.marksToGive = marksToGive;
      this.again = again;
    }

    void go() {
      exchange.send(
          options.target(),
          exchange.request().isRead() && again == null,
          marksToGive,
          this::refused);
    }

    private void refused(Throwable cause) {
      if (System.nanoTime() - deadlineNanos >= 0) {
        exchange.answer(
            HttpResponseStatus.BAD_GATEWAY,
            "the application at " + options.target() + " does not accept connections",
            "");
        return;
      }
      log.debug("{} does not accept connections: {}", options.target(), cause.getMessage());
      later(exchange, pauseMillis, again == null ? this::go : again);
      pauseMillis = Math.min(2 * pauseMillis, LONGEST_PAUSE_MILLIS);
    }
  }

  private static void later(Exchange exchange, long millis, Runnable step) {
    exchange
        .client()
        .pool()
        .loop()
        .schedule(() -> resume(exchange, step), millis, TimeUnit.MILLISECONDS);
  }

  // ------------------------------------------------------------ writes

  /** Finds the primary for a write, as often as it takes. */
  private final class Write {

    private final Exchange exchange;
    private final boolean beenHere;
    private final long deadlineNanos =
        System.nanoTime() + options.primaryRedirectTimeout().toNanos();

    private final ToTarget target;

    /** The primary as it was when this request was found to go round in a circle. */
    private Optional<Primary> circle = Optional.empty();

    private long pauseMillis = FIRST_PAUSE_MILLIS;

    /** Whether it counts as one that the application here carries out. */
    private boolean local;

    Write(Exchange exchange) {
      this.exchange = exchange;
      this.beenHere = hop.isIn(exchange.request().headers());
      // While the application does not listen, another node may become primary.
      this.target = new ToTarget(exchange, () -> marks.fields(marks.now()), this::go);
    }

    void go() {
      if (isPrimary()) {
        begunHere();
        if (isPrimary()) { // Whoever waits for it has seen it, or this sees that it must not be.
          target.go();
          return;
        }
      }
      endedHere();
      Optional<Primary> known = primary.primary();
      if (known.isEmpty()) {
        await(known, "no primary is known", HttpResponseStatus.SERVICE_UNAVAILABLE);
      } else if (known.get().isSelf()) {
        go(); // It has just become the primary.
      } else if (options.forwarding() == Forwarding.REPLAY) {
        exchange.answer(
            HttpResponseStatus.OK,
            "to be replayed on the primary",
            "fly-replay: instance=" + printable(known.get().hostname()) + "\r\n");
      } else if (options.forwarding() == Forwarding.OFF) {
        exchange.answer(
            HttpResponseStatus.SERVICE_UNAVAILABLE,
            "this node is a replica; write to the primary, " + printable(known.get().hostname()),
            "");
      } else {
        forward(known);
      }
    }

    private void begunHere() {
      if (!local) {
        local = true;
        localWrites.begun();
        exchange.onEnd(this::endedHere);
      }
    }

    private void endedHere() {
      if (local) {
        local = false;
        localWrites.ended();
      }
    }

    /**
     * Two nodes may each think that the other is primary, for a moment. A request that comes back
     * is not sent round again before that has changed.
     */
    private void forward(Optional<Primary> known) {
      if (beenHere && (circle.isEmpty() || circle.equals(known))) {
        circle = known;
        await(known, "the nodes do not agree on who is primary", LOOP_DETECTED);
        return;
      }
      Endpoint endpoint;
      try {
        endpoint = Endpoint.of(known.get().proxyUrl().orElseThrow());
      } catch (IllegalArgumentException | java.util.NoSuchElementException e) {
        exchange.answer(
            HttpResponseStatus.SERVICE_UNAVAILABLE,
            "the address of the proxy of the primary, "
                + printable(known.get().hostname())
                + ", is not known",
            "");
        return;
      }
      exchange.send(endpoint, false, NO_MARKS, unreachable(known, endpoint));
    }

    /** Nothing has been sent: it may be tried again, at the next primary too. */
    private Consumer<Throwable> unreachable(Optional<Primary> known, Endpoint endpoint) {
      return cause -> {
        long left = deadlineNanos - System.nanoTime();
        if (left <= 0) {
          exchange.answer(
              HttpResponseStatus.SERVICE_UNAVAILABLE,
              "the primary's proxy at " + endpoint + " does not accept connections",
              "");
          return;
        }
        Duration pause = Duration.ofMillis(pauseMillis);
        pauseMillis = Math.min(2 * pauseMillis, LONGEST_PAUSE_MILLIS);
        primary
            .awaitOtherThan(known, pause.toNanos() < left ? pause : Duration.ofNanos(left))
            .thenAccept(other -> resume(exchange, this::go));
      };
    }

    private void await(Optional<Primary> known, String problem, HttpResponseStatus status) {
      long left = deadlineNanos - System.nanoTime();
      if (left <= 0) {
        exchange.answer(status, problem, "");
        return;
      }
      primary
          .awaitOtherThan(known, Duration.ofNanos(left))
          .thenAccept(
              other ->
                  resume(
                      exchange,
                      () -> {
                        if (other.isPresent()) {
                          go();
                        } else {
                          exchange.answer(status, problem, "");
                        }
                      }));
    }
  }
}

package io.litefs.daemon.api;

import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.replication.Exchange;
import java.io.IOException;
import java.time.Duration;

/**
 * {@code GET /litefs/wait?db=&txid=[&replicas=][&timeout=]}, an addition of this implementation:
 * answers when the database has reached a TXID here, or on so many replicas of this primary: 200
 * and the position, as text. 504 if it has not within {@code timeout} (milliseconds, default 5000).
 */
public final class WaitHandler implements Exchange.Handler {

  private static final long DEFAULT_MILLIS = 5_000;

  /** A worker of the server waits, so there is a limit. */
  private static final long MAX_MILLIS = 60_000;

  private static final int MAX_REPLICAS = 1_000;

  /** What can be waited for. */
  public interface Positions {
    /** False if this node has not reached the TXID in time, or has no such database. */
    boolean awaitHere(String database, Txid txid, Duration timeout) throws InterruptedException;

    /** False if so many replicas do not hold the TXID in time. */
    boolean awaitReplicas(String database, Txid txid, int replicas, Duration timeout)
        throws InterruptedException;

    /** Null if there is no such database. */
    Pos position(String database);

    boolean isPrimary();
  }

  private final Positions positions;

  public WaitHandler(Positions positions) {
    this.positions = positions;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    String database = exchange.query("db").orElse("");
    if (database.isEmpty()) {
      exchange.respondText(400, "the query must name a database: ?db=DB");
      return;
    }
    Txid txid;
    long replicas;
    long millis;
    try {
      txid = Txid.parse(exchange.query("txid").orElse(""));
      replicas = number(exchange, "replicas", 0, MAX_REPLICAS);
      millis = number(exchange, "timeout", DEFAULT_MILLIS, MAX_MILLIS);
    } catch (IllegalArgumentException e) {
      exchange.respondText(
          400,
          "the query must have a TXID of 16 hex digits, and may have replicas (to "
              + MAX_REPLICAS
              + ") and timeout (ms, to "
              + MAX_MILLIS
              + "): ?db=DB&txid=TXID");
      return;
    }
    if (replicas > 0 && !positions.isPrimary()) {
      exchange.respondText(503, "this node is not the primary: it knows nothing of replicas");
      return;
    }
    if (positions.position(database) == null) {
      exchange.respondText(404, "no such database: " + database);
      return;
    }
    wait(exchange, database, txid, (int) replicas, Duration.ofMillis(millis));
  }

  private void wait(Exchange exchange, String database, Txid txid, int replicas, Duration timeout)
      throws IOException {
    boolean reached;
    try {
      long begin = System.nanoTime();
      reached = positions.awaitHere(database, txid, timeout);
      if (reached && replicas > 0) {
        Duration left = timeout.minusNanos(System.nanoTime() - begin);
        reached = positions.awaitReplicas(database, txid, replicas, left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      exchange.respondText(503, "this node is stopping");
      return;
    }
    if (reached) {
      exchange.respondText(200, positions.position(database).toString());
    } else {
      exchange.respondText(
          504,
          database
              + " has not reached "
              + txid
              + (replicas > 0 ? " on " + replicas + " replicas" : "")
              + " within "
              + timeout.toMillis()
              + " ms; it is at "
              + positions.position(database)
              + " here");
    }
  }

  private static long number(Exchange exchange, String name, long absent, long max) {
    String text = exchange.query(name).orElse("");
    long value = text.isEmpty() ? absent : Long.parseLong(text);
    if (value < 0 || value > max) {
      throw new IllegalArgumentException(name);
    }
    return value;
  }
}

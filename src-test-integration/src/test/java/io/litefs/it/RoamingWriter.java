package io.litefs.it;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;

/**
 * An application that writes 1, 2, 3 ... to whichever node lets it, and remembers what was
 * acknowledged, by which node and when. A number whose insert failed is tried again on the next
 * node, so a number may be there twice, but an acknowledged one must not be missing.
 */
final class RoamingWriter implements AutoCloseable {

  /** SQLite's ways to say that another node is to be asked: nothing was lost or broken. */
  private static final List<String> REDIRECTS = List.of("locked", "readonly");

  /** Between two rounds in which no node takes the insert: the nodes share the writer's cores. */
  private static final long ROUND_PAUSE_NANOS = 1_000_000;

  /** An acknowledged insert. */
  record Ack(int value, int node, long nanos) {}

  private final int first;
  private final List<Session> sessions = new ArrayList<>();
  private final List<Ack> acks = new ArrayList<>();
  private final List<String> failures = new ArrayList<>();
  private final AtomicBoolean stop = new AtomicBoolean();
  private final Thread thread = new Thread(this::run, "roaming-writer");

  /**
   * @param db with a table {@code log (x)}, on each of the nodes
   */
  RoamingWriter(List<Node> nodes, String db) {
    this(nodes, db, 1);
  }

  /** Writes {@code first}, and so on: several writers' numbers can be told apart. */
  RoamingWriter(List<Node> nodes, String db, int first) {
    this.first = first;
    for (Node node : nodes) {
      Session session = Driver.PYTHON.open(node.db(db));
      session.run("PRAGMA busy_timeout=0");
      sessions.add(session);
    }
    thread.setDaemon(true);
    thread.start();
  }

  private void run() {
    int at = 0;
    int refusals = 0;
    for (int value = first; !stop.get(); ) {
      try {
        sessions.get(at).run("INSERT INTO log VALUES (" + value + ")");
        synchronized (this) {
          acks.add(new Ack(value, at, System.nanoTime()));
          notifyAll();
        }
        value++;
        refusals = 0;
      } catch (SqliteError e) {
        if (REDIRECTS.stream().noneMatch(e.getMessage()::contains)) {
          synchronized (this) {
            failures.add("insert of " + value + " on node " + at + ": " + e.getMessage());
          }
        }
        at = (at + 1) % sessions.size();
        if (++refusals % sessions.size() == 0) {
          LockSupport.parkNanos(ROUND_PAUSE_NANOS);
        }
      }
    }
  }

  /** Waits until {@code count} more were acknowledged. */
  synchronized void awaitMore(int count) {
    int wanted = acks.size() + count;
    long deadline = System.nanoTime() + Await.LONG.toNanos();
    while (acks.size() < wanted) {
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (millis <= 0) {
        throw new AssertionError("no write is accepted; failures: " + failures);
      }
      try {
        wait(millis);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new AssertionError(e);
      }
    }
  }

  synchronized List<Ack> acks() {
    return List.copyOf(acks);
  }

  /** What failed otherwise than by "ask another node". */
  synchronized List<String> failures() {
    return List.copyOf(failures);
  }

  /** The longest time without an acknowledgement between two moments, in milliseconds. */
  synchronized long longestPauseMillis(long fromNanos, long toNanos) {
    long longest = 0;
    long last = fromNanos;
    for (Ack ack : acks) {
      if (ack.nanos() > fromNanos && ack.nanos() <= toNanos) {
        longest = Math.max(longest, ack.nanos() - last);
        last = ack.nanos();
      }
    }
    return longest / 1_000_000;
  }

  /** Ends the writing; the sessions stay. */
  void stop() {
    stop.set(true);
    try {
      thread.join(Await.LONG.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    if (thread.isAlive()) {
      throw new AssertionError("an insert does not return");
    }
  }

  @Override
  public void close() {
    stop.set(true);
    for (Session session : sessions) {
      try {
        session.kill();
      } catch (RuntimeException | AssertionError e) {
        // Its node was killed.
      }
    }
  }
}

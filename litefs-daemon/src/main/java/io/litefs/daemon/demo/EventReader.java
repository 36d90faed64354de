package io.litefs.daemon.demo;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.litefs.daemon.client.CommandException;
import io.litefs.ltx.Txid;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** Follows the events of a node until that ends, so that one can wait for a position there. */
public final class EventReader {

  private static final JsonFactory JSON = new JsonFactory();

  private final URI node;
  private final BufferedReader lines;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  /** The last transaction of each database. Guarded by {@link #lock}. */
  private final Map<String, Seen> seen = new HashMap<>();

  /** Why there are no more events. Guarded by {@link #lock}. */
  private String ended;

  /**
   * @param nanoTime when the event was read
   */
  private record Seen(Txid txid, long nanoTime) {}

  /** Returns once the node sends events. */
  public EventReader(URI node) throws CommandException {
    this.node = node;
    try {
      // Plainer than java.net.http, which adds a change of threads to each event: it is the lag
      // that is measured.
      InputStream events = node.resolve("/events").toURL().openStream();
      lines = new BufferedReader(new InputStreamReader(events, StandardCharsets.UTF_8));
      lines.readLine();
    } catch (IOException e) {
      throw new CommandException("cannot read the events of " + node + ": " + e.getMessage(), e);
    }
    Thread thread = new Thread(this::read, "events");
    thread.setDaemon(true);
    thread.start();
  }

  private void read() {
    String end = "the node closed the connection";
    try {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        note(line, System.nanoTime());
      }
    } catch (IOException e) {
      end = e.getMessage();
    }
    lock.lock();
    try {
      ended = end;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void note(String line, long nanoTime) throws IOException {
    String database = null;
    String txid = null;
    try (JsonParser json = JSON.createParser(line)) {
      for (JsonToken token = json.nextToken(); token != null; token = json.nextToken()) {
        if (token == JsonToken.VALUE_STRING) {
          switch (json.currentName()) {
            case "db" -> database = json.getText();
            case "txID" -> txid = json.getText();
            default -> {}
          }
        }
      }
    }
    if (database == null || txid == null) {
      return;
    }
    lock.lock();
    try {
      seen.put(database, new Seen(Txid.parse(txid), nanoTime));
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits until the database has reached {@code txid}; returns {@link System#nanoTime} of the
   * event.
   */
  public long await(String database, Txid txid, Duration limit)
      throws CommandException, InterruptedException {
    long left = limit.toNanos();
    lock.lock();
    try {
      while (true) {
        Seen last = seen.get(database);
        if (last != null && last.txid().compareTo(txid) >= 0) {
          return last.nanoTime();
        }
        if (ended != null) {
          throw new CommandException("the events of " + node + " ended: " + ended);
        }
        if (left <= 0) {
          throw new CommandException(
              "transaction "
                  + txid
                  + " of "
                  + database
                  + " did not reach "
                  + node
                  + " within "
                  + limit.toSeconds()
                  + " s; it is at "
                  + (last == null ? "none" : last.txid()));
        }
        left = changed.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
  }
}

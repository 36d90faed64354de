package io.litefs.daemon.status;

import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * The last {@value #CAPACITY} things that happened on this node and that an operator would want to
 * know: what the log says at INFO and above. Thread-safe.
 */
public final class EventLog {

  /** Events that are kept. */
  public static final int CAPACITY = 100;

  /** A line of the log may name many things; the page need not show all of a long one. */
  private static final int MAX_MESSAGE = 1000;

  /**
   * Something that happened.
   *
   * @param level INFO, WARN or ERROR
   * @param message one line
   */
  public record Event(Instant time, String level, String message) {}

  private final ArrayDeque<Event> events = new ArrayDeque<>(CAPACITY);
  private volatile Runnable listener = () -> {};

  /** Called after each event, on the thread that logged it; must not block and not log. */
  public void onEvent(Runnable newListener) {
    listener = newListener;
  }

  public void add(Instant time, String level, String message) {
    String line = message.length() > MAX_MESSAGE ? message.substring(0, MAX_MESSAGE) : message;
    synchronized (events) {
      if (events.size() == CAPACITY) {
        events.removeFirst();
      }
      events.addLast(new Event(time, level, line.replace('\n', ' ')));
    }
    listener.run();
  }

  /** The newest first. */
  List<Event> newestFirst() {
    synchronized (events) {
      List<Event> copy = new ArrayList<>(events.size());
      events.descendingIterator().forEachRemaining(copy::add);
      return copy;
    }
  }
}

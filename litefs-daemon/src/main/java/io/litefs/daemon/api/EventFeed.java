package io.litefs.daemon.api;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Txid;
import java.io.Closeable;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArraySet;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * What happens on this node, as lines of JSON, for any number of readers. Each reader has a queue
 * of {@value #CAPACITY} events of its own; one that falls further behind is cut off, so that a slow
 * reader costs neither memory nor the commit's time.
 */
public final class EventFeed implements Closeable {

  /** Events that a reader may be behind. */
  public static final int CAPACITY = 1024;

  private final Supplier<NodeView> node;
  private final Set<Subscription> subscriptions = new CopyOnWriteArraySet<>();

  /** Orders the first event of a new reader against {@link #primaryChange}. */
  private final ReentrantLock order = new ReentrantLock();

  public EventFeed(Supplier<NodeView> node) {
    this.node = node;
  }

  /** A transaction was committed or applied. Called on the committing thread; does not block. */
  public void transaction(
      String database,
      Txid txid,
      Checksum postApply,
      int pageSize,
      long commit,
      long timestampMillis) {
    if (subscriptions.isEmpty()) {
      return;
    }
    publish(
        Json.line(
            out -> {
              out.writeStringField("type", "tx");
              out.writeStringField("db", database);
              out.writeObjectFieldStart("data");
              out.writeStringField("txID", txid.toString());
              out.writeStringField("postApplyChecksum", postApply.toString());
              out.writeNumberField("pageSize", pageSize);
              out.writeNumberField("commit", commit);
              out.writeStringField("timestamp", Instant.ofEpochMilli(timestampMillis).toString());
              out.writeEndObject();
            }));
  }

  /** This node became primary, found a primary, or lost it. */
  public void primaryChange(boolean isPrimary, String hostname) {
    order.lock();
    try {
      publish(state("primaryChange", isPrimary, hostname));
    } finally {
      order.unlock();
    }
  }

  /**
   * A new reader, whose first event tells the state as it is now.
   *
   * @param cutOff breaks off a reader that has fallen too far behind: it may be stuck in a write
   */
  Subscription subscribe(Runnable cutOff) {
    order.lock();
    try {
      NodeView now = node.get();
      Subscription subscription = new Subscription(cutOff);
      subscription.offer(state("init", now.isPrimary(), now.primaryHostname()));
      subscriptions.add(subscription);
      return subscription;
    } finally {
      order.unlock();
    }
  }

  /** How many readers there are. */
  public int readers() {
    return subscriptions.size();
  }

  /** Ends what all readers read. */
  @Override
  public void close() {
    subscriptions.forEach(Subscription::close);
  }

  private void publish(byte[] event) {
    for (Subscription subscription : subscriptions) {
      subscription.offer(event);
    }
  }

  private static byte[] state(String type, boolean isPrimary, String hostname) {
    return Json.line(
        out -> {
          out.writeStringField("type", type);
          out.writeObjectFieldStart("data");
          out.writeBooleanField("isPrimary", isPrimary);
          Json.optional(out, "hostname", hostname);
          out.writeEndObject();
        });
  }

  /** One reader's queue. */
  final class Subscription implements AutoCloseable {

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final ArrayDeque<byte[]> queue = new ArrayDeque<>();
    private final Runnable cutOff;
    private boolean closed;

    private Subscription(Runnable cutOff) {
      this.cutOff = cutOff;
    }

    private void offer(byte[] event) {
      lock.lock();
      try {
        if (closed) {
          return;
        }
        if (queue.size() < CAPACITY) {
          queue.add(event);
          changed.signal();
          return;
        }
      } finally {
        lock.unlock();
      }
      close();
      cutOff.run();
    }

    /** Waits for events and takes all there are; none once it is closed. */
    List<byte[]> take() throws InterruptedException {
      lock.lock();
      try {
        while (queue.isEmpty() && !closed) {
          changed.await();
        }
        List<byte[]> events = new ArrayList<>(queue);
        queue.clear();
        return events;
      } finally {
        lock.unlock();
      }
    }

    /** Ends a waiting {@link #take}. */
    @Override
    public void close() {
      lock.lock();
      try {
        closed = true;
        queue.clear();
        subscriptions.remove(this);
        changed.signal();
      } finally {
        lock.unlock();
      }
    }
  }
}

package io.litefs.daemon.metrics;

import io.litefs.store.StoreObserver;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes what the store tells, and gives it to Prometheus. Micrometer is loaded on a thread of its
 * own once the node is mounted, since its classes would cost a tenth of the time to mount; what
 * happens in the few hundred milliseconds before is in no distribution. Thread-safe.
 */
public final class Measurements implements StoreObserver {

  private static final Logger log = LoggerFactory.getLogger(Measurements.class);

  /** Applications that cannot write try again and again; one line of the log must do. */
  private static final long REPORT_NANOS = 60_000_000_000L;

  private final FutureTask<Meters> loading = new FutureTask<>(this::load);
  private final LongAdder receivedBytes = new LongAdder();
  private final LongAdder refusedWrites = new LongAdder();
  private final AtomicLong reportedNanos = new AtomicLong(System.nanoTime() - REPORT_NANOS);

  /** Null until they are loaded. */
  private volatile Meters meters;

  private Meters load() {
    Meters loaded = new Meters();
    meters = loaded;
    return loaded;
  }

  /** Begins to measure distributions. Returns at once. */
  public void start() {
    Thread thread = new Thread(loading, "litefs-meters");
    thread.setDaemon(true);
    thread.setPriority(Thread.MIN_PRIORITY);
    thread.start();
  }

  /** A transaction became visible here so long after its commit on the primary. */
  public void visible(long millis) {
    Meters loaded = meters;
    if (loaded != null) {
      loaded.visible(millis);
    }
  }

  @Override
  public void committed(long nanos, long ltxBytes) {
    Meters loaded = meters;
    if (loaded != null) {
      loaded.committed(nanos, ltxBytes);
    }
  }

  @Override
  public void synced(long nanos) {
    Meters loaded = meters;
    if (loaded != null) {
      loaded.synced(nanos);
    }
  }

  @Override
  public void received(long ltxBytes) {
    receivedBytes.add(ltxBytes);
    Meters loaded = meters;
    if (loaded != null) {
      loaded.received(ltxBytes);
    }
  }

  @Override
  public void applied(long nanos) {
    Meters loaded = meters;
    if (loaded != null) {
      loaded.applied(nanos);
    }
  }

  @Override
  public void waitedForLocks(long nanos) {
    Meters loaded = meters;
    if (loaded != null) {
      loaded.waitedForLocks(nanos);
    }
  }

  @Override
  public void refused(String database) {
    refusedWrites.increment();
    long now = System.nanoTime();
    long last = reportedNanos.get();
    if (now - last >= REPORT_NANOS && reportedNanos.compareAndSet(last, now)) {
      log.warn(
          "{}: refused a write, since this node is not the primary ({} refused since the start)",
          database,
          refusedWrites.sum());
    }
  }

  public long receivedBytes() {
    return receivedBytes.sum();
  }

  public long refusedWrites() {
    return refusedWrites.sum();
  }

  /** All distributions in the Prometheus text format. Waits until they are there. */
  public String text() throws InterruptedException {
    try {
      // Also when nobody has called start: a task runs once.
      loading.run();
      return loading.get().text();
    } catch (ExecutionException e) {
      throw new IllegalStateException("the meters cannot be loaded", e.getCause());
    }
  }
}

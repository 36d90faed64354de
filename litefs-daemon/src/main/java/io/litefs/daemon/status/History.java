package io.litefs.daemon.status;

import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * The last five minutes of a few numbers, for small pictures. A thread of its own reads counters
 * that others keep anyway, so a commit pays nothing for it. Thread-safe.
 */
final class History implements AutoCloseable {

  static final Duration INTERVAL = Duration.ofSeconds(2);
  static final int SAMPLES = 150;

  /**
   * Samples, the oldest first; fewer than {@link #SAMPLES} when the node is young.
   *
   * @param intervalMillis time from one to the next
   * @param lagMillis -1 for unknown
   */
  record Series(
      long intervalMillis,
      double[] transactionsPerSecond,
      double[] bytesPerSecond,
      double[] lagMillis) {}

  private final LongSupplier transactions;
  private final LongSupplier bytes;
  private final LongSupplier lag;
  private final LongSupplier nanoTime;
  private final double[][] rings = new double[3][SAMPLES];
  private long samples;
  private long lastTransactions;
  private long lastBytes;
  private long lastNanos;
  private ScheduledThreadPoolExecutor timer;

  /**
   * @param transactions how many there were; only grows, but for databases that are removed
   * @param bytes of LTX files; likewise
   * @param lag in ms; negative: unknown
   */
  History(LongSupplier transactions, LongSupplier bytes, LongSupplier lag, LongSupplier nanoTime) {
    this.transactions = transactions;
    this.bytes = bytes;
    this.lag = lag;
    this.nanoTime = nanoTime;
    this.lastTransactions = transactions.getAsLong();
    this.lastBytes = bytes.getAsLong();
    this.lastNanos = nanoTime.getAsLong();
  }

  synchronized void start() {
    timer =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "litefs-history");
              thread.setDaemon(true);
              return thread;
            });
    timer.scheduleAtFixedRate(
        this::sample, INTERVAL.toMillis(), INTERVAL.toMillis(), TimeUnit.MILLISECONDS);
  }

  synchronized void sample() {
    long nanos = nanoTime.getAsLong();
    double seconds = Math.max(1e-3, (nanos - lastNanos) / 1e9);
    long newTransactions = transactions.getAsLong();
    long newBytes = bytes.getAsLong();
    int at = (int) (samples % SAMPLES);
    rings[0][at] = Math.max(0, newTransactions - lastTransactions) / seconds;
    rings[1][at] = Math.max(0, newBytes - lastBytes) / seconds;
    rings[2][at] = Math.max(-1, lag.getAsLong());
    lastTransactions = newTransactions;
    lastBytes = newBytes;
    lastNanos = nanos;
    samples++;
  }

  synchronized Series series() {
    return new Series(INTERVAL.toMillis(), ordered(rings[0]), ordered(rings[1]), ordered(rings[2]));
  }

  private double[] ordered(double[] ring) {
    if (samples <= SAMPLES) {
      return Arrays.copyOf(ring, (int) samples);
    }
    int oldest = (int) (samples % SAMPLES);
    double[] ordered = new double[SAMPLES];
    System.arraycopy(ring, oldest, ordered, 0, SAMPLES - oldest);
    System.arraycopy(ring, 0, ordered, SAMPLES - oldest, oldest);
    return ordered;
  }

  @Override
  public synchronized void close() {
    if (timer != null) {
      timer.shutdownNow();
    }
  }
}

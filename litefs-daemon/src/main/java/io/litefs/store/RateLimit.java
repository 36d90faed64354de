package io.litefs.store;

import java.util.concurrent.TimeUnit;

/**
 * Keeps a reader that has time to a number of bytes per second, in bursts of a tenth of that, so
 * that a disk serves others first. Used by one thread.
 */
public final class RateLimit implements PageVerification.Pace {

  private final long bytesPerSecond;
  private final long burst;
  private final long startedNanos = System.nanoTime();
  private long bytes;
  private long unchecked;

  public RateLimit(long bytesPerSecond) {
    if (bytesPerSecond < 1) {
      throw new IllegalArgumentException("at least 1 byte per second");
    }
    this.bytesPerSecond = bytesPerSecond;
    this.burst = Math.max(1, bytesPerSecond / 10);
  }

  @Override
  public void read(int count) throws InterruptedException {
    bytes += count;
    unchecked += count;
    if (unchecked < burst) {
      return;
    }
    unchecked = 0;
    double due = bytes * 1e9 / bytesPerSecond;
    long early = (long) due - (System.nanoTime() - startedNanos);
    if (early > 0) {
      TimeUnit.NANOSECONDS.sleep(early);
    }
  }
}

package io.litefs.proxy;

import java.time.Duration;

/**
 * The writes that the application here is carrying out, so that somebody else is made primary only
 * when they have ended. Thread-safe.
 */
final class LocalWrites {

  private int running;

  synchronized void begun() {
    running++;
  }

  synchronized void ended() {
    running--;
    notifyAll();
  }

  /** See {@link ProxyServer#awaitLocalWrites}. */
  synchronized boolean await(Duration patience) throws InterruptedException {
    long deadline = System.nanoTime() + patience.toNanos();
    while (running > 0) {
      long millis = (deadline - System.nanoTime() + 999_999) / 1_000_000;
      if (millis <= 0) {
        return false;
      }
      wait(millis);
    }
    return true;
  }
}

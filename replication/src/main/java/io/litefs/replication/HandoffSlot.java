package io.litefs.replication;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Passes a lease id from a thread that wants to hand over the lease to the thread that sends, such
 * that both agree on whether it went: two nodes must not both believe they have the lease.
 */
final class HandoffSlot {

  /** How the id is sent; must not block for long. */
  @FunctionalInterface
  interface Send {
    void send(String leaseId) throws IOException;
  }

  // Guarded by this.
  private String waiting;
  private boolean sent;
  private boolean closed;

  /**
   * Offers {@code leaseId} and waits until it was sent.
   *
   * @param wake makes the sending thread call {@link #sendIfAsked}
   * @return whether it was sent; if not it will not be
   * @throws IOException if another one waits already
   */
  boolean offer(String leaseId, Runnable wake, Duration timeout) throws IOException {
    long deadline = System.nanoTime() + timeout.toNanos();
    synchronized (this) {
      if (waiting != null) {
        throw new IOException("another handoff to this replica is under way");
      }
      waiting = leaseId;
    }
    wake.run();
    synchronized (this) {
      try {
        long left = deadline - System.nanoTime();
        while (!sent && !closed && left > 0) {
          // Rounded up: a wait of 0 would be for ever.
          wait(TimeUnit.NANOSECONDS.toMillis(left) + 1);
          left = deadline - System.nanoTime();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      waiting = null;
      return sent;
    }
  }

  synchronized boolean isAsked() {
    return waiting != null;
  }

  /**
   * Sends the id if somebody still waits for that; true if it was sent. If that fails, the peer may
   * have it all the same: it counts as sent.
   */
  synchronized boolean sendIfAsked(Send send) throws IOException {
    if (waiting == null || sent) {
      return false;
    }
    sent = true;
    notifyAll();
    send.send(waiting);
    return true;
  }

  /** Nothing will be sent any more. */
  synchronized void close() {
    closed = true;
    notifyAll();
  }
}

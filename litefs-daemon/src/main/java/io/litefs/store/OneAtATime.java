package io.litefs.store;

import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A task that is due again and again and may take longer than until then: a run while another is
 * under way does nothing. Thread-safe.
 */
final class OneAtATime implements Runnable {

  private final Runnable task;
  private final AtomicBoolean running = new AtomicBoolean();

  OneAtATime(Runnable task) {
    this.task = task;
  }

  @Override
  public void run() {
    if (!running.compareAndSet(false, true)) {
      return;
    }
    try {
      task.run();
    } finally {
      running.set(false);
    }
  }
}

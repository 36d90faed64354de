package io.litefs.proxy;

import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.Future;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Something that happens unless it is put off in time. Moving it costs nothing as long as it moves
 * later, as it does with each request: the task that is scheduled looks, when it runs, whether it
 * came too early. Event loop only.
 */
final class Deadline {

  private final EventExecutor loop;
  private final Runnable action;
  private boolean armed;
  private long at;
  private Future<?> task;
  private long taskAt;

  Deadline(EventExecutor loop, Runnable action) {
    this.loop = loop;
    this.action = action;
  }

  /** Begins anew; zero is never. */
  void set(Duration fromNow) {
    if (fromNow.isZero()) {
      armed = false;
      return;
    }
    armed = true;
    at = System.nanoTime() + fromNow.toNanos();
    if (task == null || taskAt - at > 0) {
      cancelTask();
      schedule();
    }
  }

  /** It will not happen until it is set again. */
  void clear() {
    armed = false;
  }

  /** As {@link #clear}, and nothing of it stays behind in the event loop. */
  void cancel() {
    armed = false;
    cancelTask();
  }

  private void cancelTask() {
    if (task != null) {
      task.cancel(false);
      task = null;
    }
  }

  private void schedule() {
    taskAt = at;
    task = loop.schedule(this::run, at - System.nanoTime(), TimeUnit.NANOSECONDS);
  }

  private void run() {
    task = null;
    if (!armed) {
      return;
    }
    if (at - System.nanoTime() > 0) {
      schedule();
    } else {
      armed = false;
      action.run();
    }
  }
}

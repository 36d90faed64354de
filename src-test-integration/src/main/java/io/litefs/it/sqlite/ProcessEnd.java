package io.litefs.it.sqlite;

import io.litefs.it.Reaper;
import java.util.concurrent.TimeUnit;

final class ProcessEnd {

  private ProcessEnd() {}

  /** Waits for the end; a process that does not come to one is killed, and that is an error. */
  static void await(Process process, long limit, TimeUnit unit) {
    try {
      if (!process.waitFor(limit, unit)) {
        process.destroyForcibly();
        process.waitFor(5, TimeUnit.SECONDS);
        throw new AssertionError("process " + process.pid() + " did not end by itself");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    Reaper.processGone(process.pid());
  }
}

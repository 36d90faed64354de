package io.litefs.daemon.status;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class ChangeSignalTest {

  private static final long LONG = 60_000;

  private final ChangeSignal signal = new ChangeSignal();

  @Test
  void aChangeWakesAWatcherAndOneThatCameBeforeIsNotLost() throws Exception {
    CountDownLatch watching = new CountDownLatch(1);
    CountDownLatch first = new CountDownLatch(1);
    CompletableFuture<Boolean> both =
        CompletableFuture.supplyAsync(
            () -> {
              try (ChangeSignal.Watcher watcher = signal.watch()) {
                watching.countDown();
                boolean woken = watcher.await(0, LONG);
                first.countDown();
                return woken && watcher.await(0, LONG);
              }
            });
    watching.await();
    signal.changed();
    first.await();
    signal.changed();
    assertThat(both.get(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void theShortestWaitIsKeptAndTheLongestIsEnough() {
    try (ChangeSignal.Watcher watcher = signal.watch()) {
      signal.changed();
      long start = System.nanoTime();
      assertThat(watcher.await(50, LONG)).isTrue();
      assertThat(System.nanoTime() - start).isGreaterThanOrEqualTo(50_000_000L);
      assertThat(watcher.await(0, 1)).isTrue();
    }
  }

  @Test
  void afterTheEndNobodyWaits() {
    signal.end();
    try (ChangeSignal.Watcher watcher = signal.watch()) {
      assertThat(watcher.await(LONG, LONG)).isFalse();
    }
  }
}

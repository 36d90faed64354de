package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class OneAtATimeTest {

  private final AtomicInteger runs = new AtomicInteger();

  @Test
  void doesNothingWhileItIsUnderWay() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch end = new CountDownLatch(1);
    OneAtATime task =
        new OneAtATime(
            () -> {
              runs.incrementAndGet();
              begun.countDown();
              try {
                end.await();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    CompletableFuture<Void> first = CompletableFuture.runAsync(task);
    assertThat(begun.await(20, TimeUnit.SECONDS)).isTrue();
    task.run();
    assertThat(runs).hasValue(1);
    end.countDown();
    first.get(20, TimeUnit.SECONDS);
    task.run();
    assertThat(runs).hasValue(2);
  }

  @Test
  void runsAgainAfterAFailure() {
    OneAtATime task =
        new OneAtATime(
            () -> {
              runs.incrementAndGet();
              throw new IllegalStateException("failed");
            });
    assertThatThrownBy(task::run).hasMessage("failed");
    assertThatThrownBy(task::run).hasMessage("failed");
    assertThat(runs).hasValue(2);
  }
}

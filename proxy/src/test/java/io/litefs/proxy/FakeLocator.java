package io.litefs.proxy;

import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** A primary that the test names. */
final class FakeLocator implements PrimaryLocator {

  private record Wait(Optional<Primary> known, CompletableFuture<Optional<Primary>> found) {}

  private final List<Wait> waits = new ArrayList<>();
  private final Semaphore waiting = new Semaphore(0);
  private Optional<Primary> primary = Optional.empty();

  void self() {
    set(Optional.of(new Primary(true, "me", Optional.empty())));
  }

  void other(String hostname, int proxyPort) {
    set(
        Optional.of(
            new Primary(
                false, hostname, Optional.of(URI.create("http://127.0.0.1:" + proxyPort)))));
  }

  void otherWithoutProxy(String hostname) {
    set(Optional.of(new Primary(false, hostname, Optional.empty())));
  }

  void none() {
    set(Optional.empty());
  }

  private void set(Optional<Primary> now) {
    List<Wait> found = new ArrayList<>();
    synchronized (this) {
      primary = now;
      waits.removeIf(wait -> now.isPresent() && !now.equals(wait.known) && found.add(wait));
    }
    found.forEach(wait -> wait.found.complete(now));
  }

  /** Returns once somebody waits for a primary. */
  void awaitWaiter() throws InterruptedException {
    if (!waiting.tryAcquire(20, TimeUnit.SECONDS)) {
      throw new AssertionError("nobody waits for a primary");
    }
  }

  @Override
  public synchronized Optional<Primary> primary() {
    return primary;
  }

  @Override
  public CompletionStage<Optional<Primary>> awaitOtherThan(
      Optional<Primary> known, Duration timeout) {
    CompletableFuture<Optional<Primary>> found = new CompletableFuture<>();
    synchronized (this) {
      if (primary.isPresent() && !primary.equals(known)) {
        return CompletableFuture.completedFuture(primary);
      }
      waits.add(new Wait(known, found));
    }
    waiting.release();
    return found.completeOnTimeout(Optional.empty(), timeout.toNanos(), TimeUnit.NANOSECONDS);
  }
}

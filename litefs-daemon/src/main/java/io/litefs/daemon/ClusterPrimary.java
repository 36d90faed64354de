package io.litefs.daemon;

import io.litefs.cluster.Role;
import io.litefs.cluster.RoleState;
import io.litefs.lease.PrimaryInfo;
import io.litefs.proxy.PrimaryLocator;
import java.io.Closeable;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * The primary as the proxy asks for it: this node, or the one it is connected to as a replica. The
 * latter is known once it has said where its proxy is. While this node hands over, there is none.
 */
final class ClusterPrimary implements PrimaryLocator, Closeable {

  private record Waiter(Optional<Primary> known, CompletableFuture<Optional<Primary>> found) {}

  private final String hostname;
  private final Function<PrimaryInfo, Optional<URI>> proxyOf;
  private final List<Waiter> waiters = new ArrayList<>();
  private final ExecutorService lookups =
      Executors.newSingleThreadExecutor(
          task -> {
            Thread thread = new Thread(task, "litefs-proxy-primary");
            thread.setDaemon(true);
            return thread;
          });

  private volatile Optional<Primary> primary = Optional.empty();

  /** The last that was told; null before the first. */
  private RoleState role;

  /**
   * @param hostname this node's
   * @param proxyOf where the proxy of a primary is; may block
   */
  ClusterPrimary(String hostname, Function<PrimaryInfo, Optional<URI>> proxyOf) {
    this.hostname = hostname;
    this.proxyOf = proxyOf;
  }

  /** The role has changed. Called on the thread that changes it, which must not be held up. */
  void changed(RoleState now) {
    synchronized (waiters) {
      role = now;
      set(
          now.role() == Role.PRIMARY
              ? Optional.of(new Primary(true, hostname, Optional.empty()))
              : Optional.empty());
    }
    if (now.primary().isPresent()) {
      lookups.execute(() -> lookUp(now));
    }
  }

  private void lookUp(RoleState asked) {
    PrimaryInfo info = asked.primary().orElseThrow();
    Optional<URI> proxy = proxyOf.apply(info);
    synchronized (waiters) {
      if (role == asked) {
        set(Optional.of(new Primary(false, info.hostname(), proxy)));
      }
    }
  }

  private void set(Optional<Primary> now) {
    List<Waiter> found = new ArrayList<>();
    synchronized (waiters) {
      primary = now;
      for (Waiter waiter : List.copyOf(waiters)) {
        if (now.isPresent() && !now.equals(waiter.known)) {
          waiters.remove(waiter);
          found.add(waiter);
        }
      }
    }
    found.forEach(waiter -> waiter.found.complete(now));
  }

  @Override
  public Optional<Primary> primary() {
    return primary;
  }

  @Override
  public CompletionStage<Optional<Primary>> awaitOtherThan(
      Optional<Primary> known, Duration timeout) {
    Waiter waiter = new Waiter(known, new CompletableFuture<>());
    synchronized (waiters) {
      Optional<Primary> now = primary;
      if (now.isPresent() && !now.equals(known)) {
        return CompletableFuture.completedFuture(now);
      }
      waiters.add(waiter);
    }
    waiter.found.whenComplete((found, e) -> forget(waiter));
    return waiter.found.completeOnTimeout(
        Optional.empty(), timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  private void forget(Waiter waiter) {
    synchronized (waiters) {
      // By identity: two requests may wait for the same.
      waiters.removeIf(other -> other == waiter);
    }
  }

  @Override
  public void close() {
    lookups.shutdownNow();
  }
}

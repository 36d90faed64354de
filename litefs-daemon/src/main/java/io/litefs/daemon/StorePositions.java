package io.litefs.daemon;

import io.litefs.ltx.Pos;
import io.litefs.proxy.PositionSource;
import io.litefs.store.TransactionEvent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.LongSupplier;

/**
 * The store's positions as the proxy asks for them. Waiters are woken by the transaction itself.
 */
final class StorePositions implements PositionSource {

  private record Waiter(String database, long txid, CompletableFuture<Boolean> reached) {}

  private final Function<String, Pos> positions;
  private final LongSupplier lagMillis;
  private final Set<Waiter> waiters = new HashSet<>();

  /** Whether there are waiters, so that a commit without any takes no lock. */
  private volatile boolean waiting;

  /**
   * @param positions where a database is now; null if there is none
   */
  StorePositions(Function<String, Pos> positions, LongSupplier lagMillis) {
    this.positions = positions;
    this.lagMillis = lagMillis;
  }

  @Override
  public OptionalLong txid(String database) {
    Pos pos = positions.apply(database);
    return pos == null ? OptionalLong.empty() : OptionalLong.of(pos.txid().value());
  }

  @Override
  public CompletionStage<Boolean> await(String database, long txid, Duration timeout) {
    Waiter waiter = new Waiter(database, txid, new CompletableFuture<>());
    synchronized (waiters) {
      waiters.add(waiter);
      waiting = true;
    }
    // After it is registered: whatever moves the position from now on wakes it.
    if (txid(database).orElse(0) >= txid) {
      waiter.reached.complete(true);
    }
    waiter.reached.whenComplete((reached, e) -> forget(waiter));
    return waiter.reached.completeOnTimeout(false, timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  @Override
  public Duration lag() {
    return Duration.ofMillis(lagMillis.getAsLong());
  }

  private void forget(Waiter waiter) {
    synchronized (waiters) {
      waiters.remove(waiter);
      waiting = !waiters.isEmpty();
    }
  }

  /**
   * A transaction was committed or applied. Called on the committing thread, which must not be held
   * up: to complete a waiter is to queue a task.
   */
  void moved(TransactionEvent transaction) {
    if (!waiting) {
      return;
    }
    List<Waiter> reached = new ArrayList<>();
    synchronized (waiters) {
      for (Waiter waiter : waiters) {
        if (waiter.database.equals(transaction.database())
            && waiter.txid <= transaction.txid().value()) {
          reached.add(waiter);
        }
      }
    }
    reached.forEach(waiter -> waiter.reached.complete(true));
  }
}

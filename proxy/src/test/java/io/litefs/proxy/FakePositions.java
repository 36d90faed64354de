package io.litefs.proxy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** Positions that the test moves. */
final class FakePositions implements PositionSource {

  private record Wait(String database, long txid, CompletableFuture<Boolean> reached) {}

  private final Map<String, Long> txids = new ConcurrentHashMap<>();
  private final List<Wait> waits = new ArrayList<>();
  private final Semaphore waiting = new Semaphore(0);
  private volatile Duration lag = Duration.ZERO;

  void advance(String database, long txid) {
    txids.put(database, txid);
    List<Wait> reached = new ArrayList<>();
    synchronized (waits) {
      waits.removeIf(
          wait -> wait.database.equals(database) && wait.txid <= txid && reached.add(wait));
    }
    reached.forEach(wait -> wait.reached.complete(true));
  }

  synchronized long increment(String database) {
    long next = txids.getOrDefault(database, 0L) + 1;
    advance(database, next);
    return next;
  }

  void lag(Duration newLag) {
    lag = newLag;
  }

  /** Returns once somebody waits for a TXID. */
  void awaitWaiter() throws InterruptedException {
    if (!waiting.tryAcquire(20, TimeUnit.SECONDS)) {
      throw new AssertionError("nobody waits for a TXID");
    }
  }

  @Override
  public OptionalLong txid(String database) {
    Long txid = txids.get(database);
    return txid == null ? OptionalLong.empty() : OptionalLong.of(txid);
  }

  @Override
  public CompletionStage<Boolean> await(String database, long txid, Duration timeout) {
    CompletableFuture<Boolean> reached = new CompletableFuture<>();
    synchronized (waits) {
      if (txids.getOrDefault(database, 0L) >= txid) {
        return CompletableFuture.completedFuture(true);
      }
      waits.add(new Wait(database, txid, reached));
    }
    waiting.release();
    return reached.completeOnTimeout(false, timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  @Override
  public Duration lag() {
    return lag;
  }
}

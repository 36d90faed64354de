package io.litefs.store;

import io.litefs.ltx.Pos;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

/** A primary that answers the holder of a halt lock when the test says so, or never. */
final class SilentPrimary implements WriteForwarder {

  /** Counted down with the first transaction that comes. */
  final CountDownLatch sent = new CountDownLatch(1);

  /** What it answers to each of them. */
  final CompletableFuture<Optional<String>> answer = new CompletableFuture<>();

  private final Pos pos;

  SilentPrimary(Pos pos) {
    this.pos = pos;
  }

  @Override
  public Pos halt(String database, long id) {
    return pos;
  }

  @Override
  public void release(String database, long id) {}

  @Override
  public CompletableFuture<Optional<String>> send(String database, long id, Path file) {
    sent.countDown();
    return answer.copy();
  }
}

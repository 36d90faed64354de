package io.litefs.store;

import io.litefs.ltx.Pos;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A primary that takes every transaction of the holder of a halt lock. */
final class AcceptingPrimary implements WriteForwarder {

  /** The node that writes under the lock. */
  static final long NODE = 7;

  /** Where the last transaction leads. */
  volatile Pos pos;

  /** The time for which that node may write. */
  HaltSession session(String database) {
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
    return new HaltSession(database, 42, NODE, this, deadline, session -> {});
  }

  @Override
  public Pos halt(String database, long id) {
    return pos;
  }

  @Override
  public void release(String database, long id) {}

  @Override
  public CompletableFuture<Optional<String>> send(String database, long id, Path file) {
    try {
      pos = LtxLog.posAfter(file);
      return CompletableFuture.completedFuture(Optional.empty());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

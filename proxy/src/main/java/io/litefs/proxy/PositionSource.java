package io.litefs.proxy;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.CompletionStage;

/**
 * How far the databases of this node have come. Thread-safe; no call blocks, so event loops may
 * make them.
 */
public interface PositionSource {

  /**
   * TXID of the last transaction that a reader on this node can see; empty if there is no such
   * database here.
   */
  OptionalLong txid(String database);

  /**
   * Completes with true once {@link #txid} has reached {@code txid} (at once if it has), or with
   * false when {@code timeout} has passed. A database that does not exist yet is waited for like
   * any other. Completes on any thread, which must not be blocked; never exceptionally. Whoever
   * loses interest lets it time out.
   */
  CompletionStage<Boolean> await(String database, long txid, Duration timeout);

  /**
   * How far this node is behind the primary: zero on the primary, the largest duration before the
   * first sync.
   */
  Duration lag();
}

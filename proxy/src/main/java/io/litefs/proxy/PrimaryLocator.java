package io.litefs.proxy;

import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/** Who is primary. Thread-safe; no call blocks, so event loops may make them. */
public interface PrimaryLocator {

  /**
   * The primary as this node knows it.
   *
   * @param isSelf whether it is this node
   * @param hostname its name, as in {@code .primary}; not empty
   * @param proxyUrl base URL of its proxy, if it is known
   */
  record Primary(boolean isSelf, String hostname, Optional<URI> proxyUrl) {}

  /** The primary; empty while none is known. */
  Optional<Primary> primary();

  /**
   * Completes with the primary as soon as one is known that differs from {@code known} (at once if
   * it does already; empty stands for none, so any primary differs from it), or empty when {@code
   * timeout} has passed. Completes on any thread, which must not be blocked; never exceptionally.
   */
  CompletionStage<Optional<Primary>> awaitOtherThan(Optional<Primary> known, Duration timeout);
}

package io.litefs.store;

import io.litefs.fuse.LockHolder;
import io.litefs.posix.ErrnoException;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;

/**
 * A way to bring a received transaction into a replica's database. Used by one thread at a time.
 */
interface TransactionApplier {

  /**
   * Applies a transaction that leads from the database's position to its own, and publishes its
   * position.
   *
   * @param patience how long to wait for applications, where this way needs that
   * @return false if that was not enough; nothing has changed then
   */
  boolean apply(ReceivedTransaction transaction, Duration patience) throws IOException;

  /** Who is in the way, if anybody is. */
  Optional<LockHolder> blocker() throws ErrnoException;
}

package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;

/**
 * Holds up a primary's commits until replicas have them too. Implemented by the daemon. Called
 * under the database's lock: what waits here holds up this database and no other.
 */
public interface CommitSync {

  /**
   * Before the transaction is in the log.
   *
   * @throws ErrnoException if it must fail, which leaves no trace of it anywhere
   */
  void before(String database) throws ErrnoException;

  /** Whether a commit fails that too few replicas have in time. */
  boolean mayFail();

  /**
   * Waits for the replicas, which are being sent the transaction.
   *
   * @return false if the commit must fail: then the application is told so, and the transaction is
   *     taken back by another one, since a replica may have it
   */
  boolean await(String database, Pos pos);

  /**
   * Waits as long for a transaction that nothing could take back: it stays whoever has it, and
   * {@link #before} was not asked.
   */
  void awaitIrrevocable(String database, Pos pos);

  /**
   * How many replicas are missing at this instant: as long as it is not 0, commits do not wait for
   * replicas, or fail. Any thread, with or without the database's lock.
   */
  int missing(String database);
}

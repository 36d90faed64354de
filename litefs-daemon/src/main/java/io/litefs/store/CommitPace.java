package io.litefs.store;

import io.litefs.ltx.Txid;

/**
 * Slows a primary's commits down. Implemented by the daemon. Called before each transaction is in
 * the log, under the database's lock: what waits here holds up this database, and whoever looks a
 * name up if the application is about to remove its journal (the kernel has the directory locked
 * then).
 */
public interface CommitPace {

  /** Nobody is slowed down. */
  CommitPace FREE = (database, last) -> {};

  /** Waits, some milliseconds at most; {@code last} is the database's last transaction so far. */
  void await(String database, Txid last);
}

package io.litefs.store;

/**
 * Who measures what the store does. Called on the threads that do it, at times with a database's
 * lock held: must neither block nor fail. Times are in nanoseconds, sizes in bytes.
 */
public interface StoreObserver {

  /** Nobody. */
  StoreObserver NONE = new StoreObserver() {};

  /**
   * A transaction was committed here.
   *
   * @param nanos from its last page to its position: encoding, and the append to the log
   * @param ltxBytes size of its LTX file
   */
  default void committed(long nanos, long ltxBytes) {}

  /** The log was synced because an application asked for an fsync or committed. */
  default void synced(long nanos) {}

  /** A transaction of the primary's has arrived and is in the log. */
  default void received(long ltxBytes) {}

  /** It was applied, waits for locks included. */
  default void applied(long nanos) {}

  /** SQLite's locks on a database were taken, or given up after so long. */
  default void waitedForLocks(long nanos) {}

  /** An application's write was refused, since this node is not the primary. */
  default void refused(String database) {}
}

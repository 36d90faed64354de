package io.litefs.store;

import java.util.concurrent.atomic.LongAdder;

/** Counters of one database since the daemon started. */
public final class DatabaseMetrics {
  public final LongAdder databaseWrites = new LongAdder();
  public final LongAdder journalWrites = new LongAdder();
  public final LongAdder walWrites = new LongAdder();
  public final LongAdder shmWrites = new LongAdder();
  public final LongAdder commits = new LongAdder();
  public final LongAdder reaps = new LongAdder();

  /** Pages that a verification in the background found to be other than they should. */
  public final LongAdder damagedPages = new LongAdder();

  DatabaseMetrics() {}
}

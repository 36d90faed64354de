package io.litefs.replication;

import io.litefs.ltx.Pos;

/**
 * How a {@link ChangeSink} tells the primary what it holds. Thread-safe; the methods never block,
 * and do nothing once the stream is over. Of what the primary cannot take in time only the newest
 * of each database is sent.
 */
public interface Acknowledger {

  /** The primary wants none. */
  Acknowledger NONE =
      new Acknowledger() {
        @Override
        public boolean wantsDurable() {
          return false;
        }

        @Override
        public void acknowledge(String database, Pos pos) {}

        @Override
        public void inSync() {}
      };

  /** Whether a transaction must be on disk before it is acknowledged. */
  boolean wantsDurable();

  /** This node holds the database up to this position. */
  void acknowledge(String database, Pos pos);

  /** This node holds all that it was sent before "ready". */
  void inSync();
}

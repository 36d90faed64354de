package io.litefs.replication;

/**
 * One frame of the replication stream. Each begins with its type; all integers are big-endian.
 *
 * <pre>
 *  LTX              ready   end     drop              handoff         high-water mark   heartbeat
 *  0  u32 type 1    u32 2   u32 3   0 u32 type 4      0 u32 type 5    0  u32 type 6     0 u32 type 7
 *  4  u64 size                      4 u32 length n    4 u32 length n  4  u64 TXID       4 i64 millis
 * 12  u32 length n                  8 n bytes, name   8 n bytes, id   12 u32 length n
 * 16  n bytes, name                                                   16 n bytes, name
 * 16+n chunks: u16 length m, m bytes; a chunk of length 0 ends the file
 * </pre>
 *
 * <p>Names are UTF-8 and at most {@link #MAX_NAME} bytes, lease ids at most {@link #MAX_LEASE_ID};
 * a reader checks that before it takes memory for them.
 */
sealed interface StreamFrame {

  /** Longest database name in bytes. A file name has at most 255; the rest is room. */
  int MAX_NAME = 1024;

  /** Longest lease id in bytes. Consul's are UUIDs. */
  int MAX_LEASE_ID = 4096;

  /** Longest chunk of an LTX file: what a u16 can say. */
  int MAX_CHUNK = 0xffff;

  /** The number that the frame begins with. */
  int type();

  /**
   * An LTX file of a database; its chunks follow.
   *
   * @param size bytes of the file, or 0 if unknown, which is what is sent
   */
  record Ltx(long size, String database) implements StreamFrame {
    static final int TYPE = 1;

    @Override
    public int type() {
      return TYPE;
    }
  }

  /** All that existed when the stream began has been sent. */
  record Ready() implements StreamFrame {
    static final int TYPE = 2;

    @Override
    public int type() {
      return TYPE;
    }
  }

  /** The primary closes the stream in an orderly way. */
  record End() implements StreamFrame {
    static final int TYPE = 3;

    @Override
    public int type() {
      return TYPE;
    }
  }

  /** The primary has no such database. */
  record Drop(String database) implements StreamFrame {
    static final int TYPE = 4;

    @Override
    public int type() {
      return TYPE;
    }
  }

  /** The receiver is to take over the lease. */
  record Handoff(String leaseId) implements StreamFrame {
    static final int TYPE = 5;

    @Override
    public int type() {
      return TYPE;
    }
  }

  /** What the backup of a database has reached; 0 without a backup. */
  record HighWaterMark(long txid, String database) implements StreamFrame {
    static final int TYPE = 6;

    @Override
    public int type() {
      return TYPE;
    }
  }

  /**
   * A sign of life.
   *
   * @param millis since the epoch, by the primary's clock: the replica has been sent all that was
   *     committed until then
   */
  record Heartbeat(long millis) implements StreamFrame {
    static final int TYPE = 7;

    @Override
    public int type() {
      return TYPE;
    }
  }
}

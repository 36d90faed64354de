package io.litefs.replication;

import io.litefs.ltx.Pos;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Set;

/**
 * What a primary offers to its replicas. Implemented by the daemon's store. Methods may block on
 * disk and are called on the threads of the streams, never on an event loop.
 */
public interface ChangeSource {

  /** Whether this node may serve streams now. A stream ends (frame "end") when this turns false. */
  boolean isPrimary();

  /** Names of all databases, dropped ones included as long as their position is known. */
  Set<String> databases();

  /** The database's position, or null if there is no such database here. */
  Pos position(String database);

  /**
   * Whether there is such a database, but it cannot be served now: then replicas keep what they
   * have of it, although it has no position.
   */
  default boolean isUnavailable(String database) {
    return false;
  }

  /**
   * The transaction that follows {@code after}: a file whose min TXID is {@code after.txid + 1} and
   * whose pre-apply checksum is {@code after.checksum}. Null if there is no such file (it was
   * removed by retention, or history differs): a snapshot is due then.
   */
  LtxFile next(String database, Pos after) throws IOException;

  /**
   * The database as of one position, as an LTX snapshot (min TXID 1). Null if it is gone or
   * dropped.
   *
   * @throws WithheldException if it cannot be had, for a reason that does not concern the others:
   *     they are sent, and this one is asked for again later
   */
  LtxFile snapshot(String database) throws IOException;

  /**
   * Calls {@code listener} after each change of a position, of the set of databases, or of the
   * role; quickly, on the committing thread. It must not block (release a semaphore, signal a
   * condition).
   */
  Closeable onChange(Runnable listener);

  /**
   * An LTX file that is being sent. Its bytes are those on disk; it stays readable when retention
   * removes the name.
   */
  interface LtxFile extends Closeable {
    /** The position after it. */
    Pos pos();

    /** Bytes in all. */
    long size();

    /** Reads on; -1 at the end, as {@link java.nio.channels.ReadableByteChannel#read}. */
    int read(ByteBuffer into) throws IOException;
  }
}

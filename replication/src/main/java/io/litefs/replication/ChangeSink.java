package io.litefs.replication;

import io.litefs.ltx.Pos;
import java.io.IOException;
import java.io.InputStream;
import java.time.Instant;
import java.util.Map;

/**
 * What a replica does with the frames of the stream, in their order. Implemented by the daemon's
 * store. All methods are called on the stream's own thread and may block; while they do, the
 * primary is held off by flow control. An exception ends the stream; the client connects again with
 * the positions as they are then.
 */
public interface ChangeSink {

  /**
   * The positions to ask from: all databases that this node has and wants. Called at each connect.
   */
  Map<String, Pos> positions();

  /**
   * The primary answered. {@code clusterId} is null if it has none.
   *
   * @throws StreamRefusedException if this node belongs to another cluster
   */
  void connected(long primaryNodeId, String clusterId) throws IOException;

  /**
   * How this node may tell the primary what it holds. Called after each {@link #connected} that
   * returned.
   */
  default void acknowledgeTo(Acknowledger acknowledger) {
    // A sink need not.
  }

  /**
   * Receives, verifies and applies one LTX file.
   *
   * @param file ends where the file ends, and must be read to there before anything of it counts: a
   *     stream that breaks off within a file shows as an exception of its read. It is also a {@link
   *     java.nio.channels.ReadableByteChannel}. What a sink that wants no more leaves is skipped.
   */
  void ltx(String database, InputStream file) throws IOException;

  /** All that existed when the stream began has been sent. */
  void ready();

  void heartbeat(Instant primaryTime) throws IOException;

  /**
   * The primary has no such database. Deprecated in the protocol: drops are LTX files with commit
   * 0.
   */
  void drop(String database) throws IOException;

  void highWaterMark(String database, long txid);

  /** The primary hands its lease over to this node. */
  void handoff(String leaseId) throws IOException;

  /**
   * The stream is over: cleanly ({@code cause} null) or not. Called once for each {@link
   * #connected} that returned.
   */
  void disconnected(Throwable cause);
}

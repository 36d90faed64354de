package io.litefs.cluster;

import io.litefs.replication.ChangeSink;
import java.io.Closeable;
import java.io.IOException;
import java.net.URI;

/** Streams from other nodes. */
public interface StreamStarter {
  /**
   * Starts to follow a primary; it goes on, connecting again whenever the stream breaks, until it
   * is closed.
   */
  Closeable follow(URI primary, ChangeSink sink);

  /**
   * Gives a sink what a node has that continues the transactions here, and returns. The node need
   * not be a primary.
   *
   * @throws IOException if the stream does not come to its end
   */
  void fetchTail(URI node, ChangeSink sink) throws IOException;
}

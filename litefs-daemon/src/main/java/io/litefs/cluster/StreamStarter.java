package io.litefs.cluster;

import io.litefs.replication.ChangeSink;
import java.io.Closeable;
import java.net.URI;

/**
 * Starts to follow a primary; it goes on, connecting again whenever the stream breaks, until it is
 * closed.
 */
@FunctionalInterface
public interface StreamStarter {
  Closeable follow(URI primary, ChangeSink sink);
}

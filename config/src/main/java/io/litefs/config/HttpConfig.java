package io.litefs.config;

import java.time.Duration;

/**
 * The API that replicas, tools and client libraries talk to.
 *
 * @param addr address to listen on (default {@code :20202})
 * @param snapshotTimeout longest time that making and sending one snapshot may take (default: the
 *     retention); positive
 */
public record HttpConfig(HostPort addr, Duration snapshotTimeout) {
  public HttpConfig withAddr(HostPort addr) {
    return new HttpConfig(addr, snapshotTimeout);
  }
}

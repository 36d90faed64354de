package io.litefs.proxy;

import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;

/**
 * How a {@link ProxyServer} behaves. A duration of zero is no limit, where it says so.
 *
 * @param listen where clients come; port 0 for any that is free
 * @param target where the application listens
 * @param databases names of the databases whose positions clients carry; at least one, of which the
 *     first is the one that the plain cookie stands for
 * @param maxLag lag beyond which the health check fails; positive
 * @param debug whether each request is logged
 * @param passthrough paths that the proxy does nothing to; {@code *} stands for any characters
 * @param alwaysForward paths whose reads are treated as writes; {@code *} as above
 * @param primaryRedirectTimeout how long a write waits until there is a primary to send it to
 * @param readTimeout longest time to read a whole request; zero is no limit
 * @param readHeaderTimeout longest time to read a request's headers; zero is no limit
 * @param writeTimeout longest time from a request's headers to the end of its answer; zero is no
 *     limit
 * @param idleTimeout longest time between two requests of a connection; zero is no limit
 * @param forwarding what is done with a write when another node is primary
 * @param limits what is the same for everybody
 */
public record ProxyOptions(
    InetSocketAddress listen,
    Endpoint target,
    List<String> databases,
    Duration maxLag,
    boolean debug,
    List<String> passthrough,
    List<String> alwaysForward,
    Duration primaryRedirectTimeout,
    Duration readTimeout,
    Duration readHeaderTimeout,
    Duration writeTimeout,
    Duration idleTimeout,
    Forwarding forwarding,
    Limits limits) {

  public ProxyOptions {
    databases = List.copyOf(databases);
    passthrough = List.copyOf(passthrough);
    alwaysForward = List.copyOf(alwaysForward);
    if (databases.isEmpty()) {
      throw new IllegalArgumentException("the proxy needs the name of a database");
    }
  }

  /** What is done with a write when another node is primary. */
  public enum Forwarding {
    /** It is answered with a {@code fly-replay} header that names the primary. */
    REPLAY,
    /** It is sent to the primary's proxy, and the answer streamed back. */
    PROXY,
    /** It is refused. */
    OFF
  }

  /**
   * Limits that the configuration does not name.
   *
   * @param txidTimeout how long a read waits for its TXID
   * @param targetPatience how long a request waits for a target that does not accept connections
   * @param maxClients connections of clients at one time
   * @param maxUpstreams connections to one target or primary at one time, per event loop; what
   *     needs one more waits
   * @param maxRequestLine longest request line in bytes
   * @param maxHeaderBytes longest header section in bytes, and longest trailer section
   * @param maxHeaderCount most header fields
   */
  public record Limits(
      Duration txidTimeout,
      Duration targetPatience,
      int maxClients,
      int maxUpstreams,
      int maxRequestLine,
      int maxHeaderBytes,
      int maxHeaderCount) {

    public static final Limits DEFAULTS =
        new Limits(
            Duration.ofSeconds(5), Duration.ofSeconds(30), 4096, 1024, 16 << 10, 64 << 10, 200);
  }
}

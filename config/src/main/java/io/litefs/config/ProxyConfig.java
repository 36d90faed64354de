package io.litefs.config;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * The HTTP proxy in front of the application. It runs if {@code addr} is there.
 *
 * @param addr address to listen on; absent: no proxy, and nothing else here matters
 * @param target the application's address; there if {@code addr} is
 * @param databases names of the databases whose positions the cookie carries (key {@code db}: one
 *     name or a list); not empty if {@code addr} is there
 * @param maxLag lag beyond which the health check fails (default 10 s); positive
 * @param debug whether each request is logged (default false)
 * @param passthrough paths that go to the target untouched; {@code *} stands for any characters
 * @param alwaysForward paths whose reads are treated as writes; {@code *} as above
 * @param primaryRedirectTimeout how long a write waits for a primary to be known (default 5 s)
 * @param readTimeout longest time to read a whole request; zero (default) is no limit
 * @param readHeaderTimeout longest time to read a request's headers (default 10 s); zero is no
 *     limit
 * @param writeTimeout longest time to write an answer; zero (default) is no limit
 * @param idleTimeout longest time a connection may be idle between requests (default 30 s); zero is
 *     no limit
 * @param forward what happens to a write on a replica (default {@code AUTO})
 * @param advertiseUrl where the proxies of other nodes reach this one while this node is primary;
 *     absent: at {@code addr}'s port of the host in {@code lease.advertise-url}
 */
public record ProxyConfig(
    Optional<HostPort> addr,
    Optional<HostPort> target,
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
    Forward forward,
    Optional<URI> advertiseUrl) {

  public ProxyConfig {
    databases = List.copyOf(databases);
    passthrough = List.copyOf(passthrough);
    alwaysForward = List.copyOf(alwaysForward);
  }

  public boolean enabled() {
    return addr.isPresent();
  }

  /** What the proxy of a replica does with a write. */
  public enum Forward {
    /** {@link #REPLAY} on Fly.io, {@link #PROXY} elsewhere. */
    AUTO,
    /** Answers with a {@code fly-replay} header that names the primary. */
    REPLAY,
    /** Sends it to the primary and streams the answer back. */
    PROXY,
    /** Refuses it. */
    OFF
  }
}

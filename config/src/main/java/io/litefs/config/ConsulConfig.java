package io.litefs.config;

import java.net.URI;
import java.time.Duration;
import java.util.Optional;

/**
 * The lease in Consul.
 *
 * @param url base URL of Consul; a path in it is a prefix of the keys. There if the lease's type is
 *     {@code consul}
 * @param key key of the lease, one per cluster. Empty only if the lease's type is not {@code
 *     consul}
 * @param ttl time after which the lease of a silent primary ends (default 10 s, which is also the
 *     minimum of a Consul that is not configured otherwise)
 * @param lockDelay time that Consul keeps the lease free after that (default 1 s)
 */
public record ConsulConfig(Optional<URI> url, String key, Duration ttl, Duration lockDelay) {}

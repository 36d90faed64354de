package io.litefs.lease;

import java.net.URI;
import java.time.Duration;

/**
 * The lease in Consul.
 *
 * @param url base URL of Consul, whose path is a prefix of the keys; a password in it is the token
 * @param key key of the lease, without the prefix
 * @param ttl time after which the lease of a silent holder ends
 * @param lockDelay time that the lease stays free after that
 * @param token Consul's access token, unless the URL has one; empty for none
 * @param self what the other nodes are told while this node holds the lease
 */
public record ConsulOptions(
    URI url, String key, Duration ttl, Duration lockDelay, String token, PrimaryInfo self) {

  /** The prefix without slashes around it; empty if there is none. */
  String prefix() {
    return url.getPath() == null ? "" : url.getPath().replaceAll("^/+|/+$", "");
  }

  /** The key with its prefix. */
  String fullKey() {
    return prefix().isEmpty() ? key : prefix() + "/" + key;
  }

  /** The URL without what is secret and what is none of Consul's. */
  String address() {
    String port = url.getPort() < 0 ? "" : ":" + url.getPort();
    return url.getScheme() + "://" + url.getHost() + port;
  }

  /** The token to send; empty for none. */
  String effectiveToken() {
    String user = url.getUserInfo();
    int colon = user == null ? -1 : user.indexOf(':');
    return colon < 0 ? token : user.substring(colon + 1);
  }
}

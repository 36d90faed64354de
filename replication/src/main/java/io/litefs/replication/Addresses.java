package io.litefs.replication;

import java.net.InetSocketAddress;
import java.net.SocketAddress;

/** Socket addresses as people write them. */
final class Addresses {
  private Addresses() {}

  /** {@code host:port}, brackets around IPv6, without the slash of {@link Object#toString}. */
  static String text(SocketAddress address) {
    if (!(address instanceof InetSocketAddress inet)) {
      return "unknown";
    }
    String host =
        inet.getAddress() == null ? inet.getHostString() : inet.getAddress().getHostAddress();
    return (host.contains(":") ? "[" + host + "]" : host) + ":" + inet.getPort();
  }
}

package io.litefs.config;

import java.net.InetSocketAddress;
import java.util.Objects;

/**
 * A TCP address as it is written in a configuration: {@code host:port}, {@code :port}, {@code [v6
 * address]:port}.
 *
 * @param host name or address without brackets; empty means every address of this machine when
 *     listening, and {@code localhost} when connecting
 * @param port 0 to 65535; 0 lets the system choose when listening
 */
public record HostPort(String host, int port) {
  public HostPort {
    Objects.requireNonNull(host, "host");
    if (port < 0 || port > 65535) {
      throw new IllegalArgumentException("the port " + port + " is not in 0 to 65535");
    }
  }

  /**
   * Parses the text form.
   *
   * @throws IllegalArgumentException with what is wrong, fit for a message to the user
   */
  public static HostPort parse(String text) {
    int colon = text.lastIndexOf(':');
    if (colon < 0) {
      throw new IllegalArgumentException("has no port; write host:port or :port");
    }
    String host = text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.indexOf(':') >= 0) {
      throw new IllegalArgumentException("an IPv6 address goes into brackets, as in [::1]:20202");
    }
    if (host.indexOf('/') >= 0 || host.indexOf(' ') >= 0) {
      throw new IllegalArgumentException(
          "is no address; write host:port without http:// or a path");
    }
    String port = text.substring(colon + 1);
    if (!port.matches("[0-9]{1,5}") || Integer.parseInt(port) > 65535) {
      throw new IllegalArgumentException("the port '" + port + "' is not a number from 0 to 65535");
    }
    return new HostPort(host, Integer.parseInt(port));
  }

  /** The address to bind a listening socket to; resolves the host. */
  public InetSocketAddress toListenAddress() {
    return host.isEmpty() ? new InetSocketAddress(port) : new InetSocketAddress(host, port);
  }

  /** The text form. */
  @Override
  public String toString() {
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
  }
}

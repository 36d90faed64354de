package io.litefs.proxy;

import java.net.URI;

/**
 * Where something listens.
 *
 * @param host a name or an address, without brackets; empty means this machine
 * @param port 1 to 65535
 */
public record Endpoint(String host, int port) {

  private static final int HTTP_PORT = 80;

  public Endpoint {
    if (port < 1 || port > 65535) {
      throw new IllegalArgumentException("the port " + port + " is not in 1 to 65535");
    }
  }

  /**
   * Of a URL.
   *
   * @throws IllegalArgumentException if it is none of plain HTTP; the message is fit for a user
   */
  public static Endpoint of(URI url) {
    if (!"http".equals(url.getScheme()) || url.getHost() == null) {
      throw new IllegalArgumentException(url + " is no http://HOST:PORT");
    }
    String host = url.getHost();
    if (host.startsWith("[")) {
      host = host.substring(1, host.length() - 1);
    }
    return new Endpoint(host, url.getPort() < 0 ? HTTP_PORT : url.getPort());
  }

  /** As people write it. */
  @Override
  public String toString() {
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
  }
}

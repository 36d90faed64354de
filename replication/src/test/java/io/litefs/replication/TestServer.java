package io.litefs.replication;

import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** An {@link ApiServer} on a free port of the loopback interface. */
final class TestServer implements AutoCloseable {
  static final Map<String, String> COMMON =
      Map.of("Litefs-Id", "00000000000000AA", "Litefs-Cluster-Id", "LFSC00000000000000CC");

  private final Map<String, Exchange.Handler> routes = new HashMap<>();
  private ApiServerOptions options = ApiServerOptions.DEFAULTS;
  private ApiServer server;
  private EventLoopGroup clientLoop;

  TestServer route(String route, Exchange.Handler handler) {
    routes.put(route, handler);
    return this;
  }

  TestServer options(ApiServerOptions options) {
    this.options = options;
    return this;
  }

  static ApiServerOptions options(Duration timeouts, int maxExchanges) {
    return new ApiServerOptions(
        timeouts, timeouts, timeouts, timeouts, Duration.ofMillis(100), maxExchanges);
  }

  TestServer start() throws IOException {
    return start(0);
  }

  TestServer start(int port) throws IOException {
    InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    server = new ApiServer(address, routes, () -> COMMON, options);
    server.start();
    return this;
  }

  int port() {
    return server.port();
  }

  URI uri() {
    return URI.create("http://127.0.0.1:" + port());
  }

  URI uri(String path) {
    return uri().resolve(path);
  }

  RawClient raw() throws IOException {
    return new RawClient(port());
  }

  /** An HTTP/2 connection to this server. */
  StreamConnection http2() throws IOException {
    if (clientLoop == null) {
      clientLoop = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    }
    return new StreamConnection(clientLoop, uri(), 65535, Duration.ofSeconds(10));
  }

  void stop() {
    server.close();
  }

  @Override
  public void close() {
    if (server != null) {
      server.close();
    }
    if (clientLoop != null) {
      clientLoop.shutdownGracefully(0, 1, java.util.concurrent.TimeUnit.SECONDS);
    }
  }
}

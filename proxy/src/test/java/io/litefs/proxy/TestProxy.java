package io.litefs.proxy;

import java.io.Closeable;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;

/** A proxy with fakes for its node; settings are changed before {@link #start}. */
final class TestProxy implements Closeable {

  final FakePositions positions = new FakePositions();
  final FakeLocator primary = new FakeLocator();
  private final Endpoint target;

  List<String> databases = List.of("app.db");
  List<String> passthrough = List.of();
  List<String> alwaysForward = List.of();
  Duration redirectTimeout = Duration.ofSeconds(20);
  Duration readTimeout = Duration.ZERO;
  Duration readHeaderTimeout = Duration.ofSeconds(20);
  Duration writeTimeout = Duration.ZERO;
  Duration idleTimeout = Duration.ofSeconds(30);
  Duration txidTimeout = Duration.ofSeconds(20);
  Duration targetPatience = Duration.ofSeconds(20);
  int listenPort;
  int maxClients = 1000;
  int maxUpstreams = 1000;
  ProxyOptions.Forwarding forwarding = ProxyOptions.Forwarding.PROXY;

  private ProxyServer server;

  TestProxy(Endpoint target) {
    this.target = target;
  }

  TestProxy(TestApp app) {
    this(app.endpoint());
  }

  TestProxy start() throws IOException {
    server =
        new ProxyServer(
            new ProxyOptions(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), listenPort),
                target,
                databases,
                Duration.ofSeconds(10),
                false,
                passthrough,
                alwaysForward,
                redirectTimeout,
                readTimeout,
                readHeaderTimeout,
                writeTimeout,
                idleTimeout,
                forwarding,
                new ProxyOptions.Limits(
                    txidTimeout, targetPatience, maxClients, maxUpstreams, 4096, 16384, 50)),
            positions,
            primary);
    server.start();
    return this;
  }

  /** Of a node that is the primary. */
  static TestProxy onPrimary(TestApp app) throws IOException {
    TestProxy proxy = new TestProxy(app);
    proxy.primary.self();
    return proxy.start();
  }

  int port() {
    return server.port();
  }

  ProxyServer server() {
    return server;
  }

  RawClient client() throws IOException {
    return new RawClient(port());
  }

  @Override
  public void close() {
    if (server != null) {
      server.close();
    }
  }
}

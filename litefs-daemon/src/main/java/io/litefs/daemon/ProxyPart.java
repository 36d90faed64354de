package io.litefs.daemon;

import io.litefs.cluster.Cluster;
import io.litefs.config.HostPort;
import io.litefs.config.LitefsConfig;
import io.litefs.config.ProxyConfig;
import io.litefs.daemon.client.CommandException;
import io.litefs.lease.PrimaryInfo;
import io.litefs.proxy.Endpoint;
import io.litefs.proxy.ProxyOptions;
import io.litefs.proxy.ProxyServer;
import io.litefs.store.Store;
import java.io.Closeable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The proxy of this node, wired to its store and its role. */
final class ProxyPart implements Closeable {

  private static final Logger log = LoggerFactory.getLogger(ProxyPart.class);

  /** How long a handoff waits for writes that the application is carrying out. */
  private static final Duration SETTLE_PATIENCE = Duration.ofSeconds(1);

  private final LitefsConfig config;
  private final Store store;
  private final Closeable subscription;
  private final ClusterPrimary primary;
  private final ProxyServer server;

  private ProxyPart(LitefsConfig config, Store store, Cluster cluster, ProxyOptions options) {
    this.config = config;
    this.store = store;
    StorePositions positions = new StorePositions(store::position, cluster::lagMillis);
    this.primary =
        new ClusterPrimary(
            config.lease().hostname(),
            options.forwarding() == ProxyOptions.Forwarding.PROXY
                ? this::proxyOf
                : info -> Optional.empty());
    this.subscription = store.onTransaction(positions::moved);
    cluster.onChange(primary::changed);
    this.server = new ProxyServer(options, positions, primary);
  }

  /**
   * Starts the proxy that the configuration asks for. To be called before the node looks for its
   * role.
   */
  static ProxyPart start(LitefsConfig config, Store store, Cluster cluster, Map<String, String> env)
      throws CommandException {
    ProxyPart part = new ProxyPart(config, store, cluster, options(config.proxy(), env));
    try {
      part.server.start();
    } catch (IOException e) {
      part.close();
      throw new CommandException("proxy.addr: " + e.getMessage(), e);
    }
    log.info(
        "proxy on port {} for the application at {}",
        part.server.port(),
        config.proxy().target().orElseThrow());
    return part;
  }

  private static ProxyOptions options(ProxyConfig proxy, Map<String, String> env)
      throws CommandException {
    InetSocketAddress listen = proxy.addr().orElseThrow().toListenAddress();
    if (listen.isUnresolved()) {
      throw new CommandException(
          "cannot listen on proxy.addr "
              + proxy.addr().orElseThrow()
              + ": the host is unknown; correct it in the configuration");
    }
    HostPort target = proxy.target().orElseThrow();
    if (target.port() == 0) {
      throw CommandException.usage("proxy.target is " + target + "; give the port", null);
    }
    if (proxy.advertiseUrl().isPresent()) {
      try {
        Endpoint.of(proxy.advertiseUrl().get());
      } catch (IllegalArgumentException e) {
        throw CommandException.usage("proxy.advertise-url: " + e.getMessage(), e);
      }
    }
    return new ProxyOptions(
        listen,
        new Endpoint(target.host(), target.port()),
        proxy.databases(),
        proxy.maxLag(),
        proxy.debug(),
        proxy.passthrough(),
        proxy.alwaysForward(),
        proxy.primaryRedirectTimeout(),
        proxy.readTimeout(),
        proxy.readHeaderTimeout(),
        proxy.writeTimeout(),
        proxy.idleTimeout(),
        forwarding(proxy.forward(), env),
        ProxyOptions.Limits.DEFAULTS);
  }

  private static ProxyOptions.Forwarding forwarding(
      ProxyConfig.Forward forward, Map<String, String> env) {
    return switch (forward) {
      // Set on every machine there, and nowhere else.
      case AUTO ->
          env.containsKey("FLY_APP_NAME")
              ? ProxyOptions.Forwarding.REPLAY
              : ProxyOptions.Forwarding.PROXY;
      case REPLAY -> ProxyOptions.Forwarding.REPLAY;
      case PROXY -> ProxyOptions.Forwarding.PROXY;
      case OFF -> ProxyOptions.Forwarding.OFF;
    };
  }

  /** Header fields that the API's answers get from this part. */
  Map<String, String> headers() {
    return store.isPrimary() ? Map.of(ProxyAddress.HEADER, advertiseUrl().toString()) : Map.of();
  }

  /**
   * Waits for the writes that the application here is carrying out. No more are sent to it while
   * the role is {@link io.litefs.cluster.Role#HANDING_OVER}.
   */
  void settleWrites() {
    try {
      if (!server.awaitLocalWrites(SETTLE_PATIENCE)) {
        log.warn(
            "requests to the application at {} take long: what they write after the handoff fails",
            config.proxy().target().orElseThrow());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private URI advertiseUrl() {
    return config
        .proxy()
        .advertiseUrl()
        .orElseGet(() -> ProxyAddress.onPort(config.lease().advertiseUrl(), server.port()));
  }

  /** Asks the primary; blocks. */
  private Optional<URI> proxyOf(PrimaryInfo info) {
    return Optional.of(ProxyAddress.ask(info.advertiseUrl(), server.port()));
  }

  @Override
  public void close() {
    server.close();
    primary.close();
    try {
      subscription.close();
    } catch (IOException e) {
      throw new IllegalStateException("a subscription that cannot fail to end", e);
    }
  }
}

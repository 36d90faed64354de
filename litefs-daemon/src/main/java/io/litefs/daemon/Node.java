package io.litefs.daemon;

import io.litefs.cluster.Cluster;
import io.litefs.cluster.ClusterOptions;
import io.litefs.cluster.RoleState;
import io.litefs.config.LeaseConfig;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.api.EventFeed;
import io.litefs.daemon.api.EventsHandler;
import io.litefs.daemon.api.ExportHandler;
import io.litefs.daemon.api.ImportHandler;
import io.litefs.daemon.api.InfoHandler;
import io.litefs.daemon.api.MetricsHandler;
import io.litefs.daemon.api.NodeView;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.FileReason;
import io.litefs.fuse.FileSystem;
import io.litefs.fuse.Keepers;
import io.litefs.fuse.KernelCacheNotifier;
import io.litefs.fuse.Mount;
import io.litefs.fuse.MountException;
import io.litefs.fuse.MountOptions;
import io.litefs.lease.PrimaryInfo;
import io.litefs.lease.StaticLeaser;
import io.litefs.mount.Namespace;
import io.litefs.replication.ApiServer;
import io.litefs.replication.ChangeSink;
import io.litefs.replication.Exchange;
import io.litefs.replication.StreamClient;
import io.litefs.replication.StreamHandler;
import io.litefs.store.Store;
import java.io.Closeable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The parts of a node, wired: store, role, API, mount. They start in this order, so that an
 * occupied data directory or port is found before anything is visible, and stop in the reverse.
 */
final class Node implements Closeable {

  private static final Logger log = LoggerFactory.getLogger(Node.class);

  private final LitefsConfig config;
  private final Keepers keepers;
  private final boolean skipUnmount;

  /** What has been started, the last first. */
  private final Deque<Part> started = new ArrayDeque<>();

  private Cluster cluster;

  /** Null until it is mounted; read by the API's threads. */
  private volatile Mount mount;

  private record Part(String name, Closeable closeable) {}

  /**
   * @param keepers to be closed after this
   */
  Node(LitefsConfig config, Keepers keepers, boolean skipUnmount) {
    this.config = config;
    this.keepers = keepers;
    this.skipUnmount = skipUnmount;
  }

  /**
   * Returns once the mount answers. What was started before a failure is stopped by {@link #close}.
   */
  void start() throws CommandException {
    KernelCacheNotifier kernel = new KernelCacheNotifier();
    Store store = openStore(kernel);
    started.push(new Part("store", store));

    cluster = cluster(store, kernel);
    EventFeed events = new EventFeed(() -> view(store));
    StreamHandler streams =
        new StreamHandler(store, store.nodeId(), store::clusterId, StreamHandler.Options.DEFAULTS);
    NodeMetrics metrics =
        new NodeMetrics(
            store,
            cluster,
            events,
            streams,
            () -> mount == null ? Map.of() : mount.counters().snapshot());
    store.onTransaction(
        t -> {
          if (!store.isPrimary()) {
            cluster.applied(t.timestampMillis());
            metrics.applied(t, System.currentTimeMillis());
          }
          events.transaction(
              t.database(), t.txid(), t.postApply(), t.pageSize(), t.commit(), t.timestampMillis());
        });
    cluster.onChange(role -> events.primaryChange(role.isPrimary(), role.primaryHostname()));

    ApiServer api = startApi(store, events, streams, metrics);
    started.push(new Part("API", api));
    started.push(new Part("events", events));
    started.push(new Part("streams", streams));

    mount = mount(store, kernel);
    started.push(new Part("mount", mount::close));

    log.info(
        "litefs {}: mounted {}, data in {}, API on port {}",
        VersionCommand.version(),
        config.fuse().dir(),
        config.data().dir(),
        api.port());
    cluster.start();
    started.push(new Part("role", cluster));
  }

  /**
   * Completes when the mount is gone: by {@link #close}, or because somebody has unmounted it. Only
   * after {@link #start}.
   */
  CompletionStage<Void> unmounted() {
    return mount.ended();
  }

  /** Completes once applications can be let in; see {@link Cluster#ready}. */
  CompletableFuture<Void> ready() {
    return cluster.ready();
  }

  private Store openStore(KernelCacheNotifier kernel) throws CommandException {
    try {
      return Store.open(StoreSettings.of(config), kernel, keepers, config.fuse().dir());
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot open the data", e), e);
    }
  }

  private Cluster cluster(Store store, KernelCacheNotifier kernel) throws CommandException {
    LeaseConfig lease = config.lease();
    URI url = lease.advertiseUrl();
    if (!lease.candidate() && (!"http".equals(url.getScheme()) || url.getHost() == null)) {
      throw CommandException.usage(
          "lease.advertise-url is " + url + "; give the primary's API as http://HOST:PORT", null);
    }
    PrimaryInfo named = new PrimaryInfo(lease.hostname(), lease.advertiseUrl());
    return new Cluster(
        new StaticLeaser(lease.candidate(), named),
        new StoreRole(store),
        (primary, sink) -> follow(store, primary, sink),
        kernel,
        new ClusterOptions(lease.candidate(), lease.reconnectDelay()),
        InstantSource.system());
  }

  private Closeable follow(Store store, URI primary, ChangeSink sink) {
    StreamClient client =
        new StreamClient(
            primary,
            store.nodeId(),
            Set.copyOf(config.lease().databases()),
            sink,
            config.lease().reconnectDelay());
    client.start();
    return client;
  }

  private ApiServer startApi(
      Store store, EventFeed events, StreamHandler streams, NodeMetrics metrics)
      throws CommandException {
    Map<String, Exchange.Handler> routes = new HashMap<>();
    routes.put("POST /stream", streams);
    routes.put("GET /info", new InfoHandler(() -> view(store)));
    routes.put("GET /events", new EventsHandler(events));
    routes.put("POST /import", new ImportHandler(store::isPrimary, store::importDatabase));
    routes.put("GET /export", new ExportHandler(name -> StoreExport.of(store, name)));
    routes.put("GET /metrics", new MetricsHandler(metrics::collect));

    InetSocketAddress address = config.http().addr().toListenAddress();
    if (address.isUnresolved()) {
      throw new CommandException(
          "cannot listen on http.addr "
              + config.http().addr()
              + ": the host is unknown; correct it in the configuration");
    }
    ApiServer server = new ApiServer(address, routes, () -> headers(store));
    try {
      server.start();
    } catch (IOException e) {
      server.close();
      throw new CommandException(e.getMessage(), e);
    }
    return server;
  }

  private Map<String, String> headers(Store store) {
    String id = String.format("%016X", store.nodeId());
    String clusterId = store.clusterId();
    return clusterId == null
        ? Map.of("Litefs-Id", id)
        : Map.of("Litefs-Id", id, "Litefs-Cluster-Id", clusterId);
  }

  private NodeView view(Store store) {
    RoleState role = cluster.state();
    return new NodeView(
        store.clusterId(),
        role.isPrimary(),
        config.lease().candidate(),
        config.fuse().dir().toString(),
        role.primaryHostname());
  }

  private Mount mount(Store store, KernelCacheNotifier kernel) throws CommandException {
    Path dir = config.fuse().dir();
    if (skipUnmount && isMountPoint(dir)) {
      throw new CommandException(
          "something is mounted on "
              + dir
              + "; unmount it, or start without -skip-unmount, which removes the mount of a dead litefs");
    }
    FileSystem files = new Namespace(store, cluster);
    if (config.fuse().debug() || config.tracing().active()) {
      files = new TracedFileSystem(files);
    }
    MountOptions options = new MountOptions(config.fuse().allowOther(), config.data().dir());
    try {
      return Mount.mount(dir, files, kernel, keepers, options);
    } catch (MountException e) {
      throw new CommandException(e.getMessage(), e);
    }
  }

  private static boolean isMountPoint(Path dir) throws CommandException {
    try {
      // The fifth field is the mount point, with blanks as octal numbers.
      return Files.readAllLines(Path.of("/proc/self/mountinfo")).stream()
          .anyMatch(line -> line.split(" ")[4].replace("\\040", " ").equals(dir.toString()));
    } catch (IOException e) {
      throw new CommandException("cannot see what is mounted: " + e.getMessage(), e);
    }
  }

  /**
   * Stops what was started, the last first: the mount before the store, so that no write is lost.
   * Idempotent.
   */
  @Override
  public void close() {
    while (!started.isEmpty()) {
      Part part = started.pop();
      try {
        part.closeable().close();
      } catch (IOException | RuntimeException e) {
        // The others must be closed all the same.
        log.error("cannot close the {}", part.name(), e);
      }
    }
  }
}

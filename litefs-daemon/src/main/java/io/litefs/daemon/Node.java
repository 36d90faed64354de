package io.litefs.daemon;

import io.litefs.cluster.Cluster;
import io.litefs.cluster.ClusterOptions;
import io.litefs.cluster.RoleState;
import io.litefs.cluster.StreamStarter;
import io.litefs.config.ConsulConfig;
import io.litefs.config.LeaseConfig;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.api.EventFeed;
import io.litefs.daemon.api.EventsHandler;
import io.litefs.daemon.api.ExportHandler;
import io.litefs.daemon.api.HaltHandler;
import io.litefs.daemon.api.HandoffHandler;
import io.litefs.daemon.api.HoldHandler;
import io.litefs.daemon.api.ImportHandler;
import io.litefs.daemon.api.InfoHandler;
import io.litefs.daemon.api.MetricsHandler;
import io.litefs.daemon.api.NodeView;
import io.litefs.daemon.api.PromoteHandler;
import io.litefs.daemon.api.StandingHandler;
import io.litefs.daemon.api.TransactionHandler;
import io.litefs.daemon.api.WaitHandler;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.FileReason;
import io.litefs.daemon.metrics.Measurements;
import io.litefs.daemon.status.EventLog;
import io.litefs.fuse.FileLock;
import io.litefs.fuse.FileSystem;
import io.litefs.fuse.Keepers;
import io.litefs.fuse.KernelCacheNotifier;
import io.litefs.fuse.Mount;
import io.litefs.fuse.MountException;
import io.litefs.fuse.MountOptions;
import io.litefs.lease.ConsulLeaser;
import io.litefs.lease.ConsulOptions;
import io.litefs.lease.Leaser;
import io.litefs.lease.PrimaryInfo;
import io.litefs.lease.StaticLeaser;
import io.litefs.mount.Leftover;
import io.litefs.mount.LockFiles;
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
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.BiFunction;
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
  private final BiFunction<LeaseConfig, PrimaryInfo, Leaser> leasers;

  /** What has been started, the last first. */
  private final Deque<Part> started = new ArrayDeque<>();

  private Cluster cluster;

  /** Null until its port is bound. */
  private ApiServer api;

  /** Null until it is mounted; read by the API's threads. */
  private volatile Mount mount;

  /** Null until the mount is about to be; read by the API's threads. */
  private volatile LockMount lockMount;

  /** Null if there is none; read by the API's threads. */
  private volatile ProxyPart proxy;

  private record Part(String name, Closeable closeable) {}

  /**
   * @param keepers to be closed after this
   */
  Node(LitefsConfig config, Keepers keepers, boolean skipUnmount) {
    this(config, keepers, skipUnmount, Node::leaser);
  }

  /** With another way to the lease than the configuration's. */
  Node(
      LitefsConfig config,
      Keepers keepers,
      boolean skipUnmount,
      BiFunction<LeaseConfig, PrimaryInfo, Leaser> leasers) {
    this.config = config;
    this.keepers = keepers;
    this.skipUnmount = skipUnmount;
    this.leasers = leasers;
  }

  /**
   * Returns once the mount answers. What was started before a failure is stopped by {@link #close}.
   */
  void start() throws CommandException {
    EventLog recent = new EventLog();
    Logs.keep(recent);
    KernelCacheNotifier kernel = new KernelCacheNotifier();
    Store store = openStore(kernel);
    started.push(new Part("store", store));

    StreamHandler streams =
        new StreamHandler(store, store.nodeId(), store::clusterId, StreamHandler.Options.DEFAULTS);
    Measurements measurements = new Measurements();
    store.observe(measurements);
    cluster = cluster(store, streams, kernel);
    EventFeed events = new EventFeed(() -> view(store));
    store
        .forwardedWrites()
        .connect(new HttpForwarder(() -> cluster.state().primary().map(PrimaryInfo::advertiseUrl)));
    if (config.lease().syncReplicas() > 0) {
      streams.askForDurableAcknowledgements();
      store.synchronizeCommits(new SynchronousCommits(config.lease(), streams.acknowledgements()));
    }
    NodeMetrics metrics =
        new NodeMetrics(
            store,
            cluster,
            events,
            streams,
            measurements,
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
    cluster.onChange(new PrimaryChanges(events));

    StatusPart status = new StatusPart(config, store, cluster, streams, this::locks, recent);

    // A port that is taken is noticed before anything is mounted; requests may need the mount.
    api = bindApi(store, events, streams, metrics, status);
    started.push(new Part("API", api));
    started.push(new Part("events", events));
    started.push(new Part("streams", streams));
    started.push(new Part("status", status));

    // Applications may write as soon as they see the mount.
    cluster.takeAssignedLease();
    MountOptions options =
        new MountOptions(config.fuse().allowOther(), config.data().dir(), new Leftover(store));
    mount = mount(store, kernel, options);
    started.push(new Part("mount", mount::close));
    started.push(new Part("replica", store::standStill));
    if (!skipUnmount) {
      lockMount.removeLeftover();
    }

    log.info(
        "litefs {}: mounted {}, data in {}, API on port {}",
        VersionCommand.version(),
        config.fuse().dir(),
        config.data().dir(),
        api.port());
    if (config.proxy().enabled()) {
      // Before the lease: as soon as this node is known to be primary, others forward writes to it.
      proxy = ProxyPart.start(config, store, cluster, System.getenv());
      started.push(new Part("proxy", proxy));
    }
    // After the proxy: a replica asks a primary only once where that is.
    api.answer();
    cluster.start();
    started.push(new Part("role", cluster));
    // Before the role ends: what is held is given back to the primary that this node still knows.
    started.push(new Part("lock files", lockMount));
    status.start();
    measurements.start();
  }

  /**
   * Lets the API answer although {@link #start} has failed, if it got as far as the API, so that
   * one can see what this node is. It takes no other role than it has.
   */
  void answerNevertheless() {
    if (api != null) {
      api.answer();
    }
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

  private Cluster cluster(Store store, StreamHandler streams, KernelCacheNotifier kernel) {
    LeaseConfig lease = config.lease();
    PrimaryInfo named = new PrimaryInfo(lease.hostname(), lease.advertiseUrl());
    return new Cluster(
        leasers.apply(lease, named),
        new StoreRole(store),
        streamStarter(store),
        new StreamHandover(streams, store, this::settleWrites),
        new HttpPeers(store.nodeId()),
        kernel,
        new ClusterOptions(
            named,
            lease.type() == LeaseConfig.Type.CONSUL,
            lease.candidate(),
            lease.promote(),
            lease.reconnectDelay(),
            lease.demoteDelay()),
        InstantSource.system());
  }

  private void settleWrites() {
    ProxyPart settling = proxy;
    if (settling != null) {
      settling.settleWrites();
    }
  }

  private static Leaser leaser(LeaseConfig lease, PrimaryInfo self) {
    return lease.type() == LeaseConfig.Type.CONSUL
        ? consul(lease, self)
        : new StaticLeaser(lease.candidate(), self);
  }

  private static ConsulLeaser consul(LeaseConfig lease, PrimaryInfo self) {
    ConsulConfig consul = lease.consul();
    String token = System.getenv().getOrDefault("CONSUL_HTTP_TOKEN", "");
    return new ConsulLeaser(
        new ConsulOptions(
            consul.url().orElseThrow(),
            consul.key(),
            consul.ttl(),
            consul.lockDelay(),
            token,
            self));
  }

  private StreamStarter streamStarter(Store store) {
    return new StreamStarter() {
      @Override
      public Closeable follow(URI primary, ChangeSink sink) {
        StreamClient client = streamClient(store, primary, sink);
        client.start();
        return client;
      }

      @Override
      public void fetchTail(URI node, ChangeSink sink) throws IOException {
        try (StreamClient client = streamClient(store, node, sink).forTheTail()) {
          client.runOnce();
        }
      }
    };
  }

  private StreamClient streamClient(Store store, URI node, ChangeSink sink) {
    return new StreamClient(
            node,
            store.nodeId(),
            Set.copyOf(config.lease().databases()),
            sink,
            config.lease().reconnectDelay())
        .named(StatusPart.hostname(config.lease()))
        .asCandidate(config.lease().candidate());
  }

  private ApiServer bindApi(
      Store store, EventFeed events, StreamHandler streams, NodeMetrics metrics, StatusPart status)
      throws CommandException {
    Map<String, Exchange.Handler> routes = new HashMap<>();
    routes.put("POST /stream", streams);
    routes.put("GET /info", new InfoHandler(() -> view(store)));
    routes.put("GET /events", new EventsHandler(events));
    routes.put(
        "POST /import", ifMounted(new ImportHandler(store::isPrimary, store::importDatabase)));
    routes.put(
        "GET /export", new ExportHandler((name, damaged) -> StoreExport.of(store, name, damaged)));
    HaltHandler halt = new HaltHandler(store.haltLocks());
    routes.put("POST /halt", ifMounted(halt::acquire));
    routes.put("DELETE /halt", halt::release);
    routes.put("POST /tx", ifMounted(new TransactionHandler(store.haltLocks())));
    HoldHandler hold = new HoldHandler(store::isPrimary, store.forwardedWrites());
    routes.put("POST /litefs/hold", ifMounted(hold::hold));
    routes.put("DELETE /litefs/hold", hold::release);
    routes.put("GET /litefs/wait", new WaitHandler(new NodePositions(store, streams)));
    routes.put("GET /metrics", new MetricsHandler(metrics::collect));
    status.addRoutes(routes);
    routes.put("POST /promote", new PromoteHandler(cluster));
    routes.put("POST /handoff", new HandoffHandler(cluster));
    routes.put(
        "GET /litefs/standing",
        new StandingHandler(
            config.lease().hostname(), () -> view(store), store::receivedPositions));

    InetSocketAddress address = config.http().addr().toListenAddress();
    if (address.isUnresolved()) {
      throw new CommandException(
          "cannot listen on http.addr "
              + config.http().addr()
              + ": the host is unknown; correct it in the configuration");
    }
    ApiServer server = new ApiServer(address, routes, () -> headers(store));
    try {
      server.bind();
    } catch (IOException e) {
      server.close();
      throw new CommandException(e.getMessage(), e);
    }
    return server;
  }

  /** Without the mount, locks would be taken in the directory that it is to hide. */
  private Exchange.Handler ifMounted(Exchange.Handler handler) {
    return exchange -> {
      if (mount == null) {
        exchange.respondText(503, config.fuse().dir() + " is not mounted; the log says why");
      } else {
        handler.handle(exchange);
      }
    };
  }

  private Map<String, String> headers(Store store) {
    Map<String, String> headers = new HashMap<>();
    headers.put("Litefs-Id", String.format("%016X", store.nodeId()));
    String clusterId = store.clusterId();
    if (clusterId != null) {
      headers.put("Litefs-Cluster-Id", clusterId);
    }
    if (proxy != null) {
      headers.putAll(proxy.headers());
    }
    return headers;
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

  /** All locks on files of both mounts. */
  private List<FileLock> locks() throws IOException {
    List<FileLock> all = new ArrayList<>();
    if (mount != null) {
      all.addAll(mount.locks());
      all.addAll(lockMount.locks());
    }
    return all;
  }

  private Mount mount(Store store, KernelCacheNotifier kernel, MountOptions options)
      throws CommandException {
    Path dir = config.fuse().dir();
    if (skipUnmount && isMountPoint(dir)) {
      throw new CommandException(
          "something is mounted on "
              + dir
              + "; unmount it, or start without -skip-unmount, which removes the mount of a dead litefs");
    }
    try {
      lockMount = new LockMount(dir, new LockFiles(store), keepers, options);
      FileSystem files = new Namespace(store, cluster, lockMount);
      if (config.fuse().debug() || config.tracing().active()) {
        files = new TracedFileSystem(files);
      }
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

package io.litefs.daemon;

import io.litefs.cluster.Cluster;
import io.litefs.config.LeaseConfig;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.status.ChangeSignal;
import io.litefs.daemon.status.EventLog;
import io.litefs.daemon.status.LeaseStatus;
import io.litefs.daemon.status.StatusCollector;
import io.litefs.daemon.status.StatusHandler;
import io.litefs.daemon.status.StatusStreamHandler;
import io.litefs.replication.Exchange;
import io.litefs.replication.StreamHandler;
import io.litefs.store.Store;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** The status of this node, wired to its parts. */
final class StatusPart implements Closeable {

  private final ChangeSignal changes = new ChangeSignal();
  private final StatusCollector collector;
  private final StatusStreamHandler stream;

  /**
   * @param events what the log says from the start on
   * @param locks empty lists as long as there is no mount
   */
  StatusPart(
      LitefsConfig config,
      Store store,
      Cluster cluster,
      StreamHandler streams,
      StatusCollector.Locks locks,
      EventLog events) {
    LeaseConfig lease = config.lease();
    StatusCollector.Identity identity =
        new StatusCollector.Identity(
            hostname(lease),
            lease.advertiseUrl(),
            VersionCommand.version(),
            Instant.now(),
            lease.candidate(),
            config.fuse().dir(),
            config.data().dir(),
            "FUSE (libfuse 2, jnr-fuse)");
    this.collector =
        new StatusCollector(
            identity, store, cluster, streams, locks, () -> leaseStatus(lease, cluster), events);
    this.stream = new StatusStreamHandler(collector, changes);
    store.onTransaction(transaction -> changes.changed());
    cluster.onChange(role -> changes.changed());
    events.onEvent(changes::changed);
  }

  private static LeaseStatus leaseStatus(LeaseConfig lease, Cluster cluster) {
    String type = lease.type().name().toLowerCase(Locale.ROOT);
    if (lease.type() == LeaseConfig.Type.STATIC) {
      return LeaseStatus.of(type);
    }
    return new LeaseStatus(
        type,
        Optional.of(lease.consul().ttl()),
        cluster.leaseRemaining().map(remaining -> Instant.now().plus(remaining)));
  }

  /**
   * This node's name for people. With a static lease a replica's {@code lease.hostname} is the
   * primary's; such a node goes by the machine's.
   */
  static String hostname(LeaseConfig lease) {
    if (lease.type() != LeaseConfig.Type.STATIC || lease.candidate()) {
      return lease.hostname();
    }
    try {
      return Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    } catch (IOException e) {
      return "unknown";
    }
  }

  void addRoutes(Map<String, Exchange.Handler> routes) {
    routes.put("GET /litefs/status", StatusHandler.page(collector));
    routes.put("GET /litefs/status.json", StatusHandler.json(collector));
    routes.put("GET /litefs/status/stream", stream);
  }

  /** Begins to keep the history. */
  void start() {
    collector.start();
  }

  @Override
  public void close() {
    stream.close();
    collector.close();
  }
}

package io.litefs.daemon;

import io.litefs.cluster.Cluster;
import io.litefs.daemon.api.EventFeed;
import io.litefs.daemon.api.PrometheusText;
import io.litefs.daemon.metrics.Measurements;
import io.litefs.replication.StreamHandler;
import io.litefs.store.Database;
import io.litefs.store.DatabaseMetrics;
import io.litefs.store.Store;
import io.litefs.store.TransactionEvent;
import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;

/** The node's counters, gathered from where they are kept when somebody asks. */
final class NodeMetrics {

  private final Store store;
  private final Cluster cluster;
  private final EventFeed events;
  private final StreamHandler streams;
  private final Measurements measurements;
  private final Supplier<Map<String, Long>> requests;

  /**
   * How long the last transaction of each database took from its commit on the primary to here;
   * replicas only.
   */
  private final Map<String, Double> lagSeconds = new ConcurrentHashMap<>();

  /**
   * @param requests FUSE requests by name; empty as long as there is no mount
   */
  NodeMetrics(
      Store store,
      Cluster cluster,
      EventFeed events,
      StreamHandler streams,
      Measurements measurements,
      Supplier<Map<String, Long>> requests) {
    this.store = store;
    this.cluster = cluster;
    this.events = events;
    this.streams = streams;
    this.measurements = measurements;
    this.requests = requests;
  }

  /** Notes how late a transaction of the primary's is here. */
  void applied(TransactionEvent transaction, long nowMillis) {
    long millis = Math.max(0, nowMillis - transaction.timestampMillis());
    lagSeconds.put(transaction.database(), millis / 1e3);
    measurements.visible(millis);
  }

  void collect(PrometheusText text) {
    Collection<Database> databases = store.databaseList();
    text.gauge("litefs_db_count", "Number of databases.").sample(databases.size());
    text.gauge("litefs_is_primary", "1 if this node is the primary, else 0.")
        .sample(store.isPrimary() ? 1 : 0);
    text.gauge("litefs_role", "1 with the label of this node's role.")
        .sample(1, "role", cluster.state().role().toString());
    cluster
        .leaseRemaining()
        .ifPresent(
            left ->
                text.gauge(
                        "litefs_lease_remaining_seconds",
                        "For how long this node is certain to be the primary, without a renewal.")
                    .sample(left.toMillis() / 1e3));
    text.gauge("litefs_subscriber_count", "Number of connected replicas and readers of events.")
        .sample(streams.replicas().size() + events.readers());
    text.gauge("litefs_lag_seconds", "Seconds behind the primary; 0 on the primary.")
        .sample(cluster.lagMillis() / 1e3);
    text.gauge("litefs_http_stream_count", "Number of streams to replicas.")
        .sample(streams.replicas().size());
    text.counter("litefs_http_stream_sent_bytes", "Bytes of LTX files sent to replicas.")
        .sample(streams.bytesSent());
    text.counter("litefs_http_stream_received_bytes", "Bytes of LTX files from the primary.")
        .sample(measurements.receivedBytes());
    collectFrames(text);
    perDatabase(text, databases);
    collectKept(text, databases);
    collectRequests(text);
    text.counter("litefs_refused_write_count", "Writes refused because this node is not primary.")
        .sample(measurements.refusedWrites());
    try {
      text.append(measurements.text());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void collectKept(PrometheusText text, Collection<Database> databases) {
    // With 0 for those that are well: the first divergence, too, must be an increase.
    Map<String, Long> diverged = store.divergence().counts();
    databases.forEach(db -> diverged.putIfAbsent(db.name(), 0L));
    text.counter(
        "litefs_db_diverged_count",
        "How often the database's history was found to have left the primary's.");
    diverged.forEach((db, count) -> text.sample(count, "db", db));
    text.gauge("litefs_db_quarantined", "1 if the database could not be opened at start.");
    store.quarantine().blocking().forEach(entry -> text.sample(1, "db", entry.database()));
  }

  private void collectFrames(PrometheusText text) {
    text.counter("litefs_http_frame_send_count", "Frames sent to replicas.");
    streams
        .framesSent()
        .forEach(
            (frame, count) -> text.sample(count, "db", frame.database(), "type", frame.type()));
  }

  private void perDatabase(PrometheusText text, Collection<Database> databases) {
    gauge(text, databases, "txid", "TXID of the last transaction.", db -> db.pos().txid().value());
    counter(
        text,
        databases,
        "database_write_count",
        "Writes to the database file.",
        m -> m.databaseWrites.sum());
    counter(
        text,
        databases,
        "journal_write_count",
        "Writes to the rollback journal.",
        m -> m.journalWrites.sum());
    counter(text, databases, "wal_write_count", "Writes to the WAL.", m -> m.walWrites.sum());
    counter(
        text,
        databases,
        "shm_write_count",
        "Writes to the index of the WAL.",
        m -> m.shmWrites.sum());
    counter(text, databases, "commit_count", "Transactions committed here.", m -> m.commits.sum());
    gauge(text, databases, "ltx_count", "LTX files.", Database::ltxCount);
    gauge(text, databases, "ltx_bytes", "Bytes of the LTX files.", Database::ltxBytes);
    counter(
        text, databases, "ltx_reap_count", "LTX files removed by retention.", m -> m.reaps.sum());
    counter(
        text,
        databases,
        "damaged_page_count",
        "Pages found without their checksum after an unclean stop.",
        m -> m.damagedPages.sum());
    gauge(
        text,
        databases,
        "sync_replicas_missing",
        "Replicas that commits are to wait for and that are not in sync; 0 on a replica.",
        Database::missingReplicas);
    gauge(
        text,
        databases,
        "lag_seconds",
        "Seconds from the last transaction's commit on the primary until it was applied here.",
        db -> store.isPrimary() ? 0 : lagSeconds.getOrDefault(db.name(), 0.0));
  }

  private static void gauge(
      PrometheusText text,
      Collection<Database> databases,
      String name,
      String help,
      ToDoubleFunction<Database> value) {
    text.gauge("litefs_db_" + name, help);
    databases.forEach(db -> text.sample(value.applyAsDouble(db), "db", db.name()));
  }

  private static void counter(
      PrometheusText text,
      Collection<Database> databases,
      String name,
      String help,
      ToDoubleFunction<DatabaseMetrics> value) {
    text.counter("litefs_db_" + name, help);
    databases.forEach(db -> text.sample(value.applyAsDouble(db.metrics()), "db", db.name()));
  }

  private void collectRequests(PrometheusText text) {
    text.counter("litefs_fuse_request_count", "Requests that the kernel has sent to the mount.");
    requests
        .get()
        .forEach((name, count) -> text.sample(count, "op", name.toUpperCase(Locale.ROOT)));
  }
}

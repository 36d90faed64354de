package io.litefs.daemon;

import io.litefs.cluster.Cluster;
import io.litefs.daemon.api.EventFeed;
import io.litefs.daemon.api.PrometheusText;
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
      Supplier<Map<String, Long>> requests) {
    this.store = store;
    this.cluster = cluster;
    this.events = events;
    this.streams = streams;
    this.requests = requests;
  }

  /** Notes how late a transaction of the primary's is here. */
  void applied(TransactionEvent transaction, long nowMillis) {
    lagSeconds.put(
        transaction.database(), Math.max(0, nowMillis - transaction.timestampMillis()) / 1e3);
  }

  void collect(PrometheusText text) {
    Collection<Database> databases = store.databaseList();
    text.gauge("litefs_db_count", "Number of databases.").sample(databases.size());
    text.gauge("litefs_is_primary", "1 if this node is the primary, else 0.")
        .sample(store.isPrimary() ? 1 : 0);
    text.gauge("litefs_subscriber_count", "Number of connected replicas and readers of events.")
        .sample(streams.replicas().size() + events.readers());
    text.gauge("litefs_lag_seconds", "Seconds behind the primary; 0 on the primary.")
        .sample(cluster.lagMillis() / 1e3);
    text.gauge("litefs_http_stream_count", "Number of streams to replicas.")
        .sample(streams.replicas().size());
    collectFrames(text);
    perDatabase(text, databases);
    collectRequests(text);
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

package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSink;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Feeds a replica's store from the primary's stream. Used by the stream's one thread, as {@link
 * ChangeSink} says.
 */
final class ReplicaSink implements ChangeSink, Closeable {

  private static final Logger log = LoggerFactory.getLogger(ReplicaSink.class);

  private final Store store;
  private final ReplicaListener listener;
  private final Map<String, ReplicaDatabase> replicas = new ConcurrentHashMap<>();

  ReplicaSink(Store store, ReplicaListener listener) {
    this.store = store;
    this.listener = listener;
  }

  @Override
  public Map<String, Pos> positions() {
    Map<String, Pos> positions = new TreeMap<>();
    for (Database database : store.databaseList()) {
      ReplicaDatabase replica = replicas.get(database.name());
      Pos pos = replica == null ? database.pos() : replica.received();
      positions.put(database.name(), pos);
    }
    return positions;
  }

  @Override
  public void connected(long primaryNodeId, String clusterId) throws IOException {
    if (clusterId != null) {
      store.adoptClusterId(clusterId);
    }
    listener.connected(primaryNodeId, clusterId);
  }

  @Override
  public void ltx(String name, InputStream file) throws IOException {
    replica(name).receive(file);
  }

  private ReplicaDatabase replica(String name) throws IOException {
    ReplicaDatabase replica = replicas.get(name);
    if (replica == null) {
      replica = new ReplicaDatabase(store, store.findOrCreate(name));
      replicas.put(name, replica);
    }
    return replica;
  }

  @Override
  public void ready() {
    listener.ready();
  }

  @Override
  public void heartbeat(Instant primaryTime) {
    listener.heartbeat(primaryTime);
  }

  @Override
  public void drop(String name) throws IOException {
    Database database = store.find(name);
    if (database == null) {
      return;
    }
    ReplicaDatabase replica = replicas.remove(name);
    if (replica != null) {
      replica.close();
    }
    Path kept = store.setAside(database);
    log.warn(
        "the primary has no database {}: it is no longer served here; its files are kept in {}",
        name,
        kept);
  }

  @Override
  public void highWaterMark(String database, long txid) {
    // Of use to a node with a backup of its own; nothing depends on it on a replica.
  }

  @Override
  public void handoff(String leaseId) throws IOException {
    throw new StoreException("the primary handed its lease over, but this node has a static one");
  }

  @Override
  public void disconnected(Throwable cause) {
    listener.disconnected(cause);
  }

  @Override
  public void close() {
    replicas.values().forEach(ReplicaDatabase::close);
    replicas.clear();
  }
}

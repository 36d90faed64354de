package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.replication.Acknowledger;
import io.litefs.replication.ChangeSink;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Feeds a replica's store from the primary's stream. Used by the stream's one thread, as {@link
 * ChangeSink} says.
 */
final class ReplicaSink implements ChangeSink, Closeable {

  private static final Logger log = LoggerFactory.getLogger(ReplicaSink.class);

  /** How long a database waits whose present state could not be archived. */
  private static final Duration RETRY = Duration.ofSeconds(10);

  /** Each needs a thread. */
  private static final int TAKE_OVERS = 16;

  private final Store store;
  private final ReplicaListener listener;
  private final Map<String, ReplicaDatabase> replicas = new ConcurrentHashMap<>();

  /** Databases that are not followed on this stream; the others are. */
  private final Set<String> heldBack = ConcurrentHashMap.newKeySet();

  private volatile Acknowledger acknowledger = Acknowledger.NONE;

  /** Whether nothing is received any more: this is closed, or another sink goes on. */
  private volatile boolean over;

  /** Whose stream this is, or was last. */
  private long primaryNode;

  private ArchiveException failure;
  private long retryNanos;

  ReplicaSink(Store store, ReplicaListener listener) {
    this.store = store;
    this.listener = listener;
  }

  @Override
  public Map<String, Pos> positions() {
    return positions(ReplicaDatabase::ask);
  }

  /** Where the log of each database ends. */
  Map<String, Pos> received() {
    return positions(ReplicaDatabase::received);
  }

  private Map<String, Pos> positions(Function<ReplicaDatabase, Pos> of) {
    Map<String, Pos> positions = new TreeMap<>();
    for (Database database : store.databaseList()) {
      ReplicaDatabase replica = replicas.get(database.name());
      positions.put(database.name(), replica == null ? database.pos() : of.apply(replica));
    }
    return positions;
  }

  @Override
  public void connected(long primaryNodeId, String clusterId) throws IOException {
    heldBack.clear();
    failure = null;
    listener.connected(primaryNodeId, clusterId); // It may refuse.
    if (clusterId != null) {
      store.adoptClusterId(clusterId);
    }
    store.divergence().connected(primaryNodeId, clusterId);
    if (primaryNodeId != primaryNode) {
      store.forwardedWrites().endAll("another primary, or it was started again");
      primaryNode = primaryNodeId;
    }
  }

  @Override
  public void acknowledgeTo(Acknowledger to) {
    acknowledger = to;
  }

  /** What a database that is held back is sent is skipped: it would not fit. */
  @Override
  public void ltx(String name, InputStream file) throws IOException {
    if (heldBack.contains(name) || store.quarantine().isInPlace(name)) {
      return;
    }
    try {
      replica(name).receive(file, acknowledger);
    } catch (ArchiveException e) {
      holdBack(name, e);
    }
  }

  /** The receiver of a database, which must be one of this node's; also for other threads. */
  synchronized ReplicaDatabase replica(String name) throws IOException {
    ReplicaDatabase replica = replicas.get(name);
    if (replica == null && !over) {
      replica = new ReplicaDatabase(store, store.findOrReplace(name));
      replicas.put(name, replica);
    }
    if (over) { // Looked at last: whoever goes on has what was put before.
      throw new StoreException(name + ": this node follows no primary any more, or another one");
    }
    return replica;
  }

  /**
   * The database stays as it is, the others go on. After a while the stream is ended, so that the
   * primary offers its snapshot again.
   */
  private void holdBack(String name, ArchiveException e) {
    log.error("{}", e.getMessage());
    heldBack.add(name);
    if (failure == null) {
      failure = e;
      retryNanos = System.nanoTime() + RETRY.toNanos();
    }
  }

  /** What was here before the stream is told too, once it is known to be the primary's. */
  private void acknowledgeAll() {
    Acknowledger to = acknowledger;
    if (to == Acknowledger.NONE) {
      return;
    }
    try {
      for (Map.Entry<String, Pos> entry : received().entrySet()) {
        Database database = store.find(entry.getKey());
        if (database != null && !entry.getValue().equals(Pos.ZERO)) {
          if (to.wantsDurable()) {
            database.log().sync();
          }
          to.acknowledge(entry.getKey(), entry.getValue());
        }
      }
      to.inSync();
    } catch (ErrnoException e) {
      log.error(
          "cannot sync the log, so the primary's commits do not count this node: {}",
          e.getMessage());
    }
  }

  /** A node that holds a database back has not all that the primary has. */
  @Override
  public void ready() {
    if (failure != null) {
      return;
    }
    for (Database database : store.databaseList()) {
      // What the primary did not send anything for is as it is there.
      if (store.replicates(database.name())) {
        store.divergence().agree(database.name());
      }
    }
    store.divergence().flush();
    acknowledgeAll();
    listener.ready();
  }

  @Override
  public void heartbeat(Instant primaryTime) throws IOException {
    if (failure == null) {
      requireThisStreamToDo();
      listener.heartbeat(primaryTime);
    } else if (System.nanoTime() - retryNanos > 0) {
      throw failure;
    }
  }

  private void requireThisStreamToDo() throws StoreException {
    for (Map.Entry<String, ReplicaDatabase> entry : replicas.entrySet()) {
      if (entry.getValue().needsAnotherStream() && store.replicates(entry.getKey())) {
        throw new StoreException(
            entry.getKey() + " needs what this stream does not bring: beginning anew");
      }
    }
  }

  @Override
  public void drop(String name) throws IOException {
    Database database = store.find(name);
    if (database == null) {
      return;
    }
    boolean hadContent = database.state().exists();
    try {
      store.divergence().beforeDrop(database);
    } catch (ArchiveException e) {
      holdBack(name, e);
      return;
    }
    ReplicaDatabase replica = replicas.remove(name);
    if (replica != null) {
      replica.close();
    }
    store.remove(database);
    if (hadContent) {
      log.warn("the primary has no database {}: it is no longer served here", name);
    }
  }

  @Override
  public void highWaterMark(String database, long txid) {
    // Of use to a node with a backup of its own; nothing depends on it on a replica.
  }

  @Override
  public void handoff(String leaseId) throws IOException {
    listener.handoff(leaseId);
  }

  @Override
  public void disconnected(Throwable cause) {
    listener.disconnected(cause);
  }

  // ------------------------------------------------- the change of role

  /** Goes on where another stream's sink has ended, whose stream sends nothing any more. */
  void takeOver(ReplicaSink before) {
    before.over = true; // Its stream's thread may not have noticed yet.
    replicas.putAll(before.replicas);
    before.replicas.clear();
  }

  /**
   * Takes every database from the applications of a node that was primary until now: undoes what
   * they had begun, and keeps them from writing. In the background, {@link #TAKE_OVERS} at a time;
   * those that applications do not let go of at once go on trying, and no other waits for them.
   */
  void takeOverAll() {
    List<ReplicaDatabase> all = new ArrayList<>();
    for (Database database : store.databaseList()) {
      try {
        ReplicaDatabase replica = replica(database.name());
        replica.isToBeTakenOver();
        all.add(replica);
      } catch (IOException e) {
        log.error("{}: cannot be taken over: {}", database.name(), e.getMessage());
      }
    }
    store.inBackground(() -> takeOver(all));
  }

  private static void takeOver(List<ReplicaDatabase> all) {
    Deque<CountDownLatch> underWay = new ArrayDeque<>();
    try {
      for (ReplicaDatabase replica : all) {
        underWay.add(replica.takeOverNow());
        if (underWay.size() == TAKE_OVERS) {
          underWay.remove().await();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // Nobody does that; the next transaction of each does it.
    }
  }

  /** See {@link Store#holdWriters}. */
  void holdWriters(Duration patience) throws IOException {
    long deadline = System.nanoTime() + patience.toNanos();
    for (Database database : store.databaseList()) {
      if (database.file(FileKind.DATABASE) != null) {
        replica(database.name()).holdWriters(Duration.ofNanos(deadline - System.nanoTime()));
      }
    }
  }

  /**
   * Waits until everything that was received is applied; from then on nothing is received.
   *
   * @throws StoreException if it cannot be applied, or not in time; then this goes on as it was
   */
  void awaitApplied(Duration patience) throws StoreException {
    long deadline = System.nanoTime() + patience.toNanos();
    boolean done = false;
    try {
      for (ReplicaDatabase replica : replicas.values()) {
        replica.awaitApplied(deadline);
      }
      done = true;
    } finally {
      if (!done) {
        replicas.values().forEach(ReplicaDatabase::receiveAgain);
      }
    }
  }

  /** See {@link Store#standStill}. */
  synchronized void standStill() {
    over = true;
    replicas.values().forEach(ReplicaDatabase::standStill);
  }

  /** See {@link Store#prepareToLead}. */
  void prepareToClose() {
    for (ReplicaDatabase replica : replicas.values()) {
      try {
        replica.prepareToClose();
      } catch (StoreException e) {
        log.debug("not prepared: {}", e.getMessage());
      }
    }
  }

  @Override
  public synchronized void close() {
    store.forwardedWrites().endAll("this node follows no primary any more");
    over = true;
    replicas.values().forEach(ReplicaDatabase::close);
    replicas.clear();
  }
}

package io.litefs.daemon.status;

import io.litefs.cluster.Cluster;
import io.litefs.cluster.Role;
import io.litefs.cluster.RoleState;
import io.litefs.daemon.status.NodeStatus.DatabaseStatus;
import io.litefs.daemon.status.NodeStatus.NamedLock;
import io.litefs.daemon.status.NodeStatus.Primary;
import io.litefs.daemon.status.NodeStatus.Quarantined;
import io.litefs.daemon.status.NodeStatus.Replica;
import io.litefs.daemon.status.NodeStatus.ReplicaPosition;
import io.litefs.daemon.status.NodeStatus.Waiting;
import io.litefs.fuse.FileLock;
import io.litefs.fuse.LockHolder;
import io.litefs.ltx.Pos;
import io.litefs.replication.NodeId;
import io.litefs.replication.ReplicaStatus;
import io.litefs.replication.StreamHandler;
import io.litefs.store.Behind;
import io.litefs.store.Database;
import io.litefs.store.LockWait;
import io.litefs.store.Store;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at all parts of a node and says what it sees. It takes no lock that a commit waits for, and
 * never touches the node's own mount. Thread-safe.
 */
public final class StatusCollector implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(StatusCollector.class);

  /**
   * The kernel holds up everybody's lock requests for a moment while its list of locks is read; so
   * not more often than this, however many look on.
   */
  private static final long LOCKS_NANOS = 1_000_000_000L;

  /**
   * What does not change while the node runs.
   *
   * @param hostname this node's name for people
   * @param url where other nodes reach its API
   */
  public record Identity(
      String hostname,
      URI url,
      String version,
      Instant started,
      boolean candidate,
      Path mount,
      Path dataDir,
      String transport) {}

  /** The locks on files of the mount. */
  @FunctionalInterface
  public interface Locks {
    List<FileLock> read() throws IOException;
  }

  private final Identity identity;
  private final Store store;
  private final Cluster cluster;
  private final StreamHandler streams;
  private final Locks locks;
  private final Supplier<LeaseStatus> lease;
  private final EventLog events;
  private final History history;

  private Map<String, List<NamedLock>> lastLocks = Map.of();
  private long lastLocksNanos = System.nanoTime() - LOCKS_NANOS;

  /**
   * @param locks empty lists as long as there is no mount
   */
  public StatusCollector(
      Identity identity,
      Store store,
      Cluster cluster,
      StreamHandler streams,
      Locks locks,
      Supplier<LeaseStatus> lease,
      EventLog events) {
    this.identity = identity;
    this.store = store;
    this.cluster = cluster;
    this.streams = streams;
    this.locks = locks;
    this.lease = lease;
    this.events = events;
    this.history =
        new History(
            sum(database -> database.metrics().commits.sum()),
            sum(Database::ltxBytesAppended),
            () -> lag().orElse(-1),
            System::nanoTime);
  }

  private LongSupplier sum(java.util.function.ToLongFunction<Database> count) {
    return () -> store.databaseList().stream().mapToLong(count).sum();
  }

  /** Begins to keep the history. */
  public void start() {
    history.start();
  }

  NodeStatus collect() {
    Instant now = Instant.now();
    RoleState role = cluster.state();
    return new NodeStatus(
        now,
        node(role),
        lease.get(),
        primary(role),
        lag(),
        databases(),
        quarantine(),
        replicas(now),
        history.series(),
        events.newestFirst());
  }

  private NodeStatus.Node node(RoleState role) {
    String cluster = store.clusterId();
    return new NodeStatus.Node(
        NodeId.format(store.nodeId()),
        identity.hostname(),
        identity.version(),
        identity.started(),
        role.role().toString(),
        role.since(),
        identity.candidate(),
        cluster == null ? "" : cluster,
        identity.mount(),
        identity.dataDir(),
        identity.transport());
  }

  private Optional<Primary> primary(RoleState role) {
    if (role.role() == Role.PRIMARY) {
      return Optional.of(new Primary(identity.hostname(), identity.url()));
    }
    return role.primary().map(info -> new Primary(info.hostname(), info.advertiseUrl()));
  }

  private OptionalLong lag() {
    long millis = cluster.lagMillis();
    return millis == Integer.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(millis);
  }

  // ------------------------------------------------------------ databases

  private List<DatabaseStatus> databases() {
    Map<String, List<NamedLock>> held = locks();
    Map<String, Long> diverged = store.divergence().counts();
    List<DatabaseStatus> list = new ArrayList<>();
    for (Database database : store.databaseList()) {
      if (isDropped(database)) {
        continue; // only its log is left
      }
      list.add(
          new DatabaseStatus(
              database.name(),
              database.pageCount(),
              database.pageSize(),
              database.isWal(),
              database.pos(),
              database.lastTransactionMillis(),
              database.metrics().commits.sum(),
              database.ltxCount(),
              database.ltxBytes(),
              held.getOrDefault(database.name(), List.of()),
              Optional.ofNullable(database.lockWait()).map(StatusCollector::waiting),
              notes(
                  database,
                  store.isDamaged(database.name()),
                  diverged.getOrDefault(database.name(), 0L))));
    }
    return list;
  }

  private static boolean isDropped(Database database) {
    return database.pageCount() == 0 && !database.pos().equals(Pos.ZERO);
  }

  private static Waiting waiting(LockWait wait) {
    return new Waiting(
        wait.txid().toString(), wait.since(), wait.holder().map(LockHolder::toString).orElse(""));
  }

  private static List<String> notes(Database database, boolean isDamaged, long diverged) {
    List<String> notes = new ArrayList<>();
    if (isDamaged) {
      notes.add(
          "it is damaged, so it is neither exported nor sent to replicas that need all of it; 'litefs verify' and the log tell more");
    }
    long damaged = database.metrics().damagedPages.sum();
    if (damaged > 0) {
      notes.add(
          damaged
              + (damaged == 1 ? " page was" : " pages were")
              + " found without the right checksum; 'litefs verify' tells more");
    }
    int missing = database.missingReplicas();
    if (missing > 0) {
      notes.add(
          "commits are not synchronous: "
              + missing
              + (missing == 1 ? " replica is" : " replicas are")
              + " missing (lease.sync-replicas); they do not wait, or fail, as lease.on-timeout says");
    }
    if (diverged > 0) {
      notes.add(
          "its history left the primary's and what only this node had was set aside; see 'litefs diverged list'");
    }
    return notes;
  }

  private synchronized Map<String, List<NamedLock>> locks() {
    long now = System.nanoTime();
    if (now - lastLocksNanos >= LOCKS_NANOS) {
      lastLocksNanos = now;
      Predicate<String> exists =
          name -> {
            Database database = store.find(name);
            return database != null && !isDropped(database);
          };
      try {
        lastLocks = LockNames.byDatabase(locks.read(), exists);
      } catch (IOException e) {
        log.debug("cannot read the kernel's list of locks", e);
        lastLocks = Map.of();
      }
    }
    return lastLocks;
  }

  private List<Quarantined> quarantine() {
    return store.quarantine().blocking().stream()
        .map(e -> new Quarantined(e.database(), e.since(), e.path(), e.reason()))
        .toList();
  }

  // ------------------------------------------------------------ replicas

  private List<Replica> replicas(Instant now) {
    return streams.replicas().stream()
        .sorted(Comparator.comparing(ReplicaStatus::since))
        .map(replica -> replica(replica, now))
        .toList();
  }

  private Replica replica(ReplicaStatus replica, Instant now) {
    List<ReplicaPosition> positions = new ArrayList<>();
    for (Database database : store.databaseList()) {
      Pos sent = replica.positions().get(database.name());
      if (!replica.wants(database.name()) || isDropped(database) && sent == null) {
        continue;
      }
      Behind behind = database.behind(sent);
      if (behind.equals(Behind.NOTHING) && sent == null) {
        continue; // no transaction yet
      }
      long millis = behind.since() == 0 ? 0 : Math.max(0, now.toEpochMilli() - behind.since());
      positions.add(
          new ReplicaPosition(
              database.name(),
              Optional.ofNullable(sent),
              behind.transactions(),
              behind.bytes(),
              millis));
    }
    return new Replica(
        NodeId.format(replica.nodeId()),
        replica.hostname(),
        replica.address(),
        replica.since(),
        replica.ready(),
        replica.bytesSent(),
        positions);
  }

  @Override
  public void close() {
    history.close();
  }
}

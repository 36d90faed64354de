package io.litefs.cluster;

import io.litefs.fuse.KernelCache;
import io.litefs.lease.Lease;
import io.litefs.lease.Leaser;
import io.litefs.lease.PrimaryInfo;
import io.litefs.mount.PrimaryView;
import io.litefs.replication.StreamRefusedException;
import io.litefs.store.ReplicaListener;
import java.io.Closeable;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The role of this node, and the one place where it changes.
 *
 * <pre>
 *                lease acquired                     asked to hand over
 *   SEARCHING -------------------------> PRIMARY <----------------------> HANDING_OVER
 *     |   ^                              ^     |   the receiver is gone         |
 *     |   | stream broken,    lease      |     | lease lost                     | lease sent
 *     v   | another primary   received   |     v                                |
 *    REPLICA ----------------------------+   DEMOTED <--------------------------+
 *        ^                                     |
 *        +-------------------------------------+  connected to the next primary
 * </pre>
 *
 * A thread of its own asks for the lease if this node is a candidate, else follows the primary that
 * the lease names; a static lease may be taken before it starts. What it means to lead, and how the
 * lease changes hands, is {@link Leadership}; who is told of a change, {@link CurrentRole}.
 *
 * <p>Whether a commit may be made is not a matter of the role, which is always a little late, but
 * of {@link #mayCommit}, which asks the lease.
 *
 * <p>Thread-safe.
 */
public final class Cluster implements PrimaryView, Closeable {

  /** Longest single wait for the lease to name another primary. */
  private static final Duration LEASE_WAIT = Duration.ofHours(1);

  /** Between two attempts to get a lease that nobody holds. */
  private static final Duration FREE_WAIT = Duration.ofMillis(250);

  /**
   * How long {@link #close} waits for the stream to end by itself, and again after it was
   * interrupted.
   */
  private static final Duration CLOSE_PATIENCE = Duration.ofSeconds(5);

  private static final Logger log = LoggerFactory.getLogger(Cluster.class);

  private final Leaser leaser;
  private final RoleStore store;
  private final StreamStarter streams;
  private final KernelCache kernel;
  private final ClusterOptions options;
  private final InstantSource clock;
  private final CurrentRole role;
  private final Lag lag;
  private final Election election;
  private final Leadership leadership;
  private final Promotion promotion;

  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread thread = new Thread(this::run, "litefs-cluster");

  private boolean announced;

  private volatile String problem = "";

  public Cluster(
      Leaser leaser,
      RoleStore store,
      StreamStarter streams,
      Handover handover,
      Peers peers,
      KernelCache kernel,
      ClusterOptions options,
      InstantSource clock) {
    this.leaser = leaser;
    this.store = store;
    this.streams = streams;
    this.kernel = kernel;
    this.options = options;
    this.clock = clock;
    this.role = new CurrentRole(kernel, store::clusterId, clock);
    this.lag = new Lag(clock);
    this.election = new Election(leaser, store, peers);
    this.leadership = new Leadership(leaser, store, handover, options, clock, lag, role, closed);
    this.promotion = new Promotion(leaser, peers, options, role, closed);
  }

  /**
   * Lets this node write if a static lease makes it the primary for ever: applications may do so as
   * soon as they see the mount. The role is told only by {@link #start}, when the mount is there.
   * Does nothing with other leases, and leaves it to {@link #start} to try again if it fails.
   * Called at most once, before {@link #start}.
   */
  public void takeAssignedLease() {
    if (options.elected() || !options.candidate()) {
      return;
    }
    try {
      leadership.takeAssigned();
    } catch (IOException e) {
      report(e);
    }
  }

  /** Begins to look for a role. Called once. */
  public void start() {
    thread.setDaemon(true);
    thread.start();
  }

  public RoleState state() {
    return role.state();
  }

  /**
   * {@code listener} is told each change, on the thread that makes it, one at a time; it must not
   * block.
   */
  public void onChange(Consumer<RoleState> listener) {
    role.onChange(listener);
  }

  /** Completes once this node is primary or in sync with it. */
  public CompletableFuture<Void> ready() {
    return role.ready();
  }

  @Override
  public String primaryHostname() {
    return state().primaryHostname();
  }

  @Override
  public long lagMillis() {
    return state().isPrimary() ? 0 : lag.millis();
  }

  @Override
  public long lastHeardMillis() {
    return state().isPrimary() ? clock.millis() : lag.lastWordMillis();
  }

  /**
   * A transaction of the primary's, made at {@code primaryMillis} of its clock, was applied here.
   */
  public void applied(long primaryMillis) {
    if (!state().isPrimary()) {
      lag.heard(primaryMillis);
    }
  }

  /** Whether this node may commit at this instant. */
  public boolean mayCommit() {
    return leadership.mayCommit();
  }

  /** The time for which this node is still certain to be primary; empty if that is no matter. */
  public Optional<Duration> leaseRemaining() {
    return leadership.remaining();
  }

  /**
   * Ends the stream, or hands the lease to a replica that is connected, or else gives it back. With
   * a lease that nobody else can get, the store stays as it is.
   */
  @Override
  public void close() {
    leadership.handOffToAny();
    closed.countDown();
    leadership.giveBack();
    leaser.close();
    try {
      if (!join(CLOSE_PATIENCE)) {
        thread.interrupt();
        join(CLOSE_PATIENCE);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean join(Duration limit) throws InterruptedException {
    if (Thread.currentThread() != thread) {
      thread.join(limit.toMillis());
    }
    return !thread.isAlive();
  }

  private boolean isClosed() {
    return closed.getCount() == 0;
  }

  // ------------------------------------------------------------ the thread

  private void run() {
    try {
      if (leadership.isThere()) {
        leadership.announce();
      }
      while (!isClosed()) {
        try {
          takeRole();
          problem = "";
        } catch (IOException | RuntimeException e) {
          // What another node or Consul says must not end this thread, whatever it is.
          report(e);
          closed.await(options.reconnectDelay().toMillis(), TimeUnit.MILLISECONDS);
        }
      }
    } catch (InterruptedException e) {
      // Only close() interrupts.
      log.debug("the cluster's thread ends");
    }
  }

  /** Says once what stands in the way, not at each attempt. */
  private void report(Exception e) {
    String message = e instanceof IOException ? String.valueOf(e.getMessage()) : e.toString();
    if (!isClosed() && !message.equals(problem)) {
      long delay = options.reconnectDelay().toMillis();
      if (e instanceof IOException) {
        log.warn("{}; trying again every {} ms", message, delay);
      } else {
        log.error("cannot take a role; trying again every {} ms", delay, e);
      }
    }
    problem = message;
  }

  /** Takes a role and keeps it as long as the lease allows. */
  private void takeRole() throws IOException, InterruptedException {
    if (leadership.isThere()) {
      leadership.keep();
    } else if (!options.elected()) {
      takeStaticRole();
    } else {
      takeElectedRole();
    }
  }

  private void takeStaticRole() throws IOException, InterruptedException {
    Optional<Lease> assigned = options.candidate() ? leaser.acquire() : Optional.empty();
    if (assigned.isPresent()) {
      lead(assigned.get());
      return;
    }
    Optional<PrimaryInfo> primary = leaser.primary();
    if (primary.isPresent()) {
      follow(primary.get());
    } else {
      leaser.awaitPrimaryOtherThan(primary, options.reconnectDelay());
    }
  }

  private void takeElectedRole() throws IOException, InterruptedException {
    if (!announced) {
      leaser.announce();
      announced = true;
    }
    Optional<PrimaryInfo> primary = leaser.primary();
    if (primary.isPresent() && !isSelf(primary.get())) {
      election.over();
      follow(primary.get());
      return;
    }
    store.becomeReplica(options.candidate());
    boolean free = primary.isEmpty() && !leadership.yields();
    if (free && options.candidate()) {
      if (election.obstacle().isEmpty()) {
        Optional<Lease> acquired = leaser.acquire();
        if (acquired.isPresent()) {
          election.over();
          lead(acquired.get());
          return;
        }
      } else {
        Optional<URI> tail = election.toFetchFrom();
        if (tail.isPresent()) {
          fetchTail(tail.get());
          return;
        }
      }
    }
    // If it is still ours from before a restart, it must end first.
    leaser.awaitPrimaryOtherThan(primary, FREE_WAIT);
  }

  /** A node that cannot lead may have transactions that this one lost in a power cut. */
  private void fetchTail(URI node) {
    try {
      streams.fetchTail(node, store.replicaSink(new TailListener(node)));
      log.info("fetched what {} had and this node lacked", node);
    } catch (IOException e) {
      log.warn("cannot fetch what {} has and this node lacks: {}", node, e.getMessage());
    }
  }

  private boolean isSelf(PrimaryInfo primary) {
    return primary.advertiseUrl().equals(options.self().advertiseUrl());
  }

  private void lead(Lease acquired) throws IOException, InterruptedException {
    leadership.begin(acquired);
    leadership.keep();
  }

  // ------------------------------------------------------------ the lease changes hands

  /**
   * Hands the lease to a connected replica. Writers wait meanwhile.
   *
   * @throws IOException with the reason if this node goes on as primary, or was none
   */
  public void handOff(long nodeId) throws IOException {
    leadership.handOff(nodeId);
  }

  /**
   * Asks the primary to hand over to this node, and returns when this node is primary.
   *
   * @throws NoCandidateException if it can never be
   * @throws IOException with the reason if it does not become it
   */
  public void promote() throws IOException {
    promotion.promote();
  }

  // ------------------------------------------------------------ following

  /** Follows {@code primary} until the lease names another, or none. */
  private void follow(PrimaryInfo primary) throws IOException, InterruptedException {
    store.becomeReplica(options.candidate());
    Follower follower = new Follower(primary);
    try (Closeable stream = streams.follow(primary.advertiseUrl(), store.replicaSink(follower))) {
      log.debug("following {} with {}", primary.advertiseUrl(), stream);
      awaitAnother(primary);
    } finally {
      follower.over = true;
    }
    if (!leadership.isThere()) {
      role.change(Role.SEARCHING);
    }
  }

  private void awaitAnother(PrimaryInfo primary) throws InterruptedException {
    Optional<PrimaryInfo> named = Optional.of(primary);
    while (!isClosed() && !leadership.isThere()) {
      try {
        if (!named.equals(leaser.awaitPrimaryOtherThan(named, LEASE_WAIT))) {
          return;
        }
        problem = "";
      } catch (IOException | RuntimeException e) {
        // No reason to leave a primary that is there.
        report(e);
        closed.await(options.reconnectDelay().toMillis(), TimeUnit.MILLISECONDS);
      }
    }
  }

  /** Of a stream from a node that does not lead. */
  private final class TailListener implements ReplicaListener {

    private final URI node;

    TailListener(URI node) {
      this.node = node;
    }

    @Override
    public void connected(long nodeId, String clusterId) throws IOException {
      String own = store.clusterId();
      if (own == null || !own.equals(clusterId)) {
        throw new StreamRefusedException(node + " is not of this node's cluster");
      }
    }

    @Override
    public void ready() {
      // The stream just ends.
    }

    @Override
    public void heartbeat(Instant primaryTime) {
      // It is no primary.
    }

    @Override
    public void disconnected(Throwable cause) {
      // Whoever reads it knows.
    }
  }

  /** What the stream from one primary tells. Called on the stream's thread. */
  private final class Follower implements ReplicaListener {

    private final PrimaryInfo primary;

    /** Whether another primary is followed, or none: what this one says does not count. */
    private volatile boolean over;

    Follower(PrimaryInfo primary) {
      this.primary = primary;
    }

    @Override
    public void connected(long nodeId, String clusterId) throws IOException {
      if (over || leadership.isThere()) {
        throw new StreamRefusedException("this node follows another primary now");
      }
      String own = store.clusterId();
      if (clusterId != null && own != null && !own.equals(clusterId)) {
        throw new StreamRefusedException(
            "this node's data belongs to cluster "
                + own
                + ", the primary at "
                + primary.advertiseUrl()
                + " is of cluster "
                + clusterId
                + (options.elected()
                    ? "; set another lease.consul.key"
                    : "; correct lease.advertise-url")
                + ", or give this node an empty data directory");
      }
      if (clusterId != null && own == null && options.elected() && !store.positions().isEmpty()) {
        throw new StreamRefusedException(
            "this node has data that belongs to no cluster (it has no cluster id), the primary at "
                + primary.advertiseUrl()
                + " is of cluster "
                + clusterId
                + "; run 'litefs cluster adopt "
                + clusterId
                + "' here if the data is that cluster's, or give this node an empty data directory");
      }
      if (clusterId != null && own == null) {
        store.adoptClusterId(clusterId);
        log.info("joined cluster {}", clusterId);
      }
      role.follow(primary);
    }

    @Override
    public void ready() {
      lag.synced();
      if (lag.lastWordMillis() == 0) {
        lag.heard(clock.millis());
      }
      kernel.invalidateAttributes(".lag");
      role.inSync();
      promotion.inSync();
    }

    @Override
    public void handoff(String leaseId) throws IOException {
      leadership.receive(leaseId);
    }

    @Override
    public void heartbeat(Instant primaryTime) {
      lag.heard(primaryTime.toEpochMilli());
      kernel.invalidateAttributes(".lag");
    }

    /** Why has been logged by the stream's client. */
    @Override
    public void disconnected(Throwable cause) {
      if (!over && !leadership.isThere()) {
        role.change(Role.SEARCHING);
      }
    }
  }
}

package io.litefs.cluster;

import io.litefs.fuse.KernelCache;
import io.litefs.lease.Lease;
import io.litefs.lease.LeaseException;
import io.litefs.lease.Leaser;
import io.litefs.lease.PrimaryInfo;
import io.litefs.mount.PrimaryView;
import io.litefs.replication.StreamRefusedException;
import io.litefs.store.ReplicaListener;
import java.io.Closeable;
import java.io.IOException;
import java.net.URI;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

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
 * the lease names; a static lease may be taken before it starts. Every change is logged on one
 * line, told to the kernel ({@code .primary}), and told to listeners, in this order and one after
 * the other.
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

  /** How long a writer that is at work may hold up a handoff. */
  private static final Duration WRITER_PATIENCE = Duration.ofSeconds(2);

  /** How long a node that is to be promoted may take to find a primary that it can ask. */
  private static final Duration CONNECTION_LIMIT = Duration.ofSeconds(2);

  /** How long it may take from the primary's consent until this node leads. */
  private static final Duration PROMOTION_LIMIT = Duration.ofSeconds(10);

  /**
   * How long {@link #close} waits for the stream to end by itself, and again after it was
   * interrupted.
   */
  private static final Duration CLOSE_PATIENCE = Duration.ofSeconds(5);

  private static final Logger log = LoggerFactory.getLogger(Cluster.class);

  private final Leaser leaser;
  private final RoleStore store;
  private final StreamStarter streams;
  private final Handover handover;
  private final Peers peers;
  private final KernelCache kernel;
  private final ClusterOptions options;
  private final InstantSource clock;
  private final Lag lag;
  private final Election election;

  private final List<Consumer<RoleState>> listeners = new CopyOnWriteArrayList<>();

  /** Completes when this node is primary or has all that the primary has, for the first time. */
  private final CompletableFuture<Void> ready = new CompletableFuture<>();

  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread thread = new Thread(this::run, "litefs-cluster");

  /** Held during a change of the role, its announcement included. */
  private final ReentrantLock changing = new ReentrantLock();

  private final Condition changed = changing.newCondition();

  /** Held while the lease goes to another node, and while it is decided what its end means. */
  private final ReentrantLock handing = new ReentrantLock();

  private volatile RoleState state;

  /** The lease that this node leads with; null if it does not. */
  private volatile Lease lease;

  /** No lease is taken before; as {@link System#nanoTime} counts. */
  private volatile long yieldUntilNanos = System.nanoTime();

  private boolean announced;

  /** Whether what a candidate does once, when it is in sync, has been begun. */
  private volatile boolean prepared;

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
    this.handover = handover;
    this.peers = peers;
    this.kernel = kernel;
    this.options = options;
    this.clock = clock;
    this.lag = new Lag(clock);
    this.election = new Election(leaser, store, peers);
    this.state = new RoleState(Role.SEARCHING, Optional.empty(), clock.instant());
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
    handing.lock();
    try {
      Optional<Lease> assigned = leaser.acquire();
      if (assigned.isPresent()) {
        joinCluster(assigned.get());
        takeDatabases(assigned.get());
      }
    } catch (IOException e) {
      report(e);
    } finally {
      handing.unlock();
    }
  }

  /** Begins to look for a role. Called once. */
  public void start() {
    thread.setDaemon(true);
    thread.start();
  }

  public RoleState state() {
    return state;
  }

  /**
   * {@code listener} is told each change, on the thread that makes it, one at a time; it must not
   * block.
   */
  public void onChange(Consumer<RoleState> listener) {
    listeners.add(listener);
  }

  /** Completes once this node is primary or in sync with it. */
  public CompletableFuture<Void> ready() {
    return ready.copy();
  }

  @Override
  public String primaryHostname() {
    return state.primaryHostname();
  }

  @Override
  public long lagMillis() {
    return state.isPrimary() ? 0 : lag.millis();
  }

  @Override
  public long lastHeardMillis() {
    return state.isPrimary() ? clock.millis() : lag.lastWordMillis();
  }

  /**
   * A transaction of the primary's, made at {@code primaryMillis} of its clock, was applied here.
   */
  public void applied(long primaryMillis) {
    if (!state.isPrimary()) {
      lag.heard(primaryMillis);
    }
  }

  /** Whether this node may commit at this instant. */
  public boolean mayCommit() {
    Lease held = lease;
    return held != null && held.isHeld();
  }

  /** The time for which this node is still certain to be primary; empty if that is no matter. */
  public Optional<Duration> leaseRemaining() {
    Lease held = lease;
    return held == null ? Optional.empty() : held.remaining();
  }

  /**
   * Ends the stream, or hands the lease to a replica that is connected, or else gives it back. With
   * a lease that nobody else can get, the store stays as it is.
   */
  @Override
  public void close() {
    handOverBeforeTheEnd();
    closed.countDown();
    if (options.elected()) {
      giveBack();
    }
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

  private void handOverBeforeTheEnd() {
    if (isClosed() || !options.elected() || state.role() != Role.PRIMARY) {
      return;
    }
    Optional<Long> successor = handover.successor();
    if (successor.isEmpty()) {
      log.info("no candidate is connected that could take the lease over");
      return;
    }
    try {
      handOff(successor.get());
    } catch (IOException e) {
      log.warn("cannot hand over before the end: {}", e.getMessage());
    }
  }

  private void giveBack() {
    handing.lock();
    try {
      Lease held = lease;
      if (held != null) {
        stepDown("it was given back", Level.INFO);
        held.close();
      }
    } catch (IOException e) {
      log.warn("the lease could not be given back and ends by itself: {}", e.getMessage());
    } finally {
      handing.unlock();
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
      if (lease != null) {
        tellThatThisNodeLeads();
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
    if (lease != null) {
      keepLeading();
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
    boolean free = primary.isEmpty() && System.nanoTime() - yieldUntilNanos >= 0;
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

  // ------------------------------------------------------------ leading

  private void lead(Lease acquired) throws IOException, InterruptedException {
    handing.lock();
    try {
      joinCluster(acquired);
      beginToLead(acquired);
    } finally {
      handing.unlock();
    }
    keepLeading();
  }

  /** Makes this node the primary, or gives the lease back. Caller holds {@link #handing}. */
  private void beginToLead(Lease acquired) throws IOException {
    takeDatabases(acquired);
    tellThatThisNodeLeads();
  }

  private void tellThatThisNodeLeads() {
    change(Role.PRIMARY, Optional.empty());
    ready.complete(null);
  }

  /** From now on this node may commit. */
  private void takeDatabases(Lease acquired) throws IOException {
    boolean done = false;
    try {
      if (isClosed()) {
        throw new IOException("this node stops");
      }
      lease = acquired;
      store.becomePrimary(this::mayCommit);
      done = true;
    } finally {
      if (!done) {
        lease = null;
        acquired.close();
      }
    }
  }

  private void joinCluster(Lease acquired) throws IOException {
    boolean done = false;
    try {
      joinCluster();
      done = true;
    } finally {
      if (!done) {
        acquired.close();
      }
    }
  }

  private void joinCluster() throws IOException {
    String own = store.clusterId();
    String proposed = own == null ? "LFSC%016X".formatted(new SecureRandom().nextLong()) : own;
    String id = leaser.establishClusterId(proposed);
    if (own == null) {
      store.adoptClusterId(id);
    } else if (!id.equals(own)) {
      throw new IOException(
          "the lease belongs to cluster " + id + ", this node's data to cluster " + own);
    }
  }

  /** Returns once this node does not lead any more. */
  private void keepLeading() throws InterruptedException {
    if (!options.elected()) {
      closed.await(); // Nobody else can have it.
      return;
    }
    while (!isClosed()) {
      Lease held = lease;
      if (held == null) {
        return;
      }
      Optional<String> end = held.awaitEnd(LEASE_WAIT);
      if (end.isEmpty()) {
        continue;
      }
      // A handoff that is under way has ended it, and may take it back.
      handing.lock();
      try {
        if (lease == held) {
          stepDown(end.get());
          closeQuietly(held);
        }
      } finally {
        handing.unlock();
      }
    }
  }

  private static void closeQuietly(Lease ended) {
    try {
      ended.close();
    } catch (IOException e) {
      log.debug("the lease ends by itself", e);
    }
  }

  private void stepDown(String reason) {
    stepDown(reason, Level.WARN);
  }

  /** Caller holds {@link #handing}. */
  private void stepDown(String reason, Level level) {
    log.atLevel(level)
        .log("this node is not the primary any more: the lease has ended, because {}", reason);
    lag.ledUntil(clock.millis() - lease.overdue().toMillis());
    lease = null; // First: no commit from here on.
    try {
      store.becomeReplica(options.candidate());
    } catch (IOException e) {
      log.error("cannot take the databases from applications: {}", e.getMessage());
    }
    change(Role.DEMOTED, Optional.empty());
  }

  // ------------------------------------------------------------ the lease changes hands

  /**
   * Hands the lease to a connected replica. Writers wait meanwhile.
   *
   * @throws IOException with the reason if this node goes on as primary, or was none
   */
  public void handOff(long nodeId) throws IOException {
    if (!handing.tryLock()) {
      throw new IOException("another change of the lease is under way; try again");
    }
    try {
      Lease held = lease;
      if (held == null || state.role() != Role.PRIMARY) {
        throw new IOException("this node is not the primary");
      }
      if (!options.elected()) {
        held.handOff(); // says why not
      }
      handover.requireFit(nodeId);
      change(Role.HANDING_OVER, Optional.empty());
      handover.settle();
      try {
        store.holdWriters(WRITER_PATIENCE);
      } catch (IOException e) {
        change(Role.PRIMARY, Optional.empty());
        throw e;
      }
      send(held, nodeId);
      lease = null;
      yieldUntilNanos = System.nanoTime() + options.demoteDelay().toNanos();
      lag.ledUntil(clock.millis());
      store.becomeReplica(options.candidate());
      change(Role.DEMOTED, Optional.empty());
    } finally {
      handing.unlock();
    }
  }

  private void send(Lease held, long nodeId) throws IOException {
    String id;
    try {
      id = held.handOff();
    } catch (IOException e) {
      goOn(held);
      throw e;
    }
    try {
      // No commit gets past the lease any more, but one may have before it is in the log.
      store.awaitCommits(WRITER_PATIENCE);
      handover.send(nodeId, id);
    } catch (IOException e) {
      try {
        goOn(leaser.takeOver(id));
      } catch (IOException again) {
        e.addSuppressed(again);
        // What keeps the writers waiting goes on as what keeps them out.
        stepDown("it could neither be handed over nor be kept: " + again.getMessage());
      }
      throw e;
    }
  }

  private void goOn(Lease held) {
    lease = held;
    store.releaseWriters();
    change(Role.PRIMARY, Optional.empty());
  }

  /** The primary has handed its lease to this node. On the stream's thread. */
  private void receive(String leaseId) throws IOException {
    if (!options.elected()) {
      throw new IOException("the primary handed its lease over, but this node has a static one");
    }
    handing.lock();
    try {
      Lease taken = takeOver(leaseId);
      if (!options.candidate()) {
        taken.close();
        throw new LeaseException(
            "the primary handed its lease over, but this node is no candidate");
      }
      beginToLead(taken);
    } finally {
      handing.unlock();
    }
  }

  /** Writers wait: what needs the disk is done while the lease is asked for. */
  private Lease takeOver(String leaseId) throws IOException {
    CompletableFuture<Void> prepared =
        CompletableFuture.runAsync(store::prepareToLead)
            .exceptionally(
                e -> {
                  log.error("cannot prepare to lead", e);
                  return null;
                });
    try {
      return leaser.takeOver(leaseId);
    } finally {
      prepared.join();
    }
  }

  /** Thrown by {@link #promote} on a node that can never be primary. */
  public static final class NoCandidateException extends IOException {
    private static final long serialVersionUID = 1L;

    NoCandidateException() {
      super("this node is no candidate; set lease.candidate: true");
    }
  }

  /**
   * Asks the primary to hand over to this node, and returns when this node is primary.
   *
   * @throws IOException with the reason if it does not become it
   */
  public void promote() throws IOException {
    if (!options.candidate()) {
      throw new NoCandidateException();
    }
    // One that has just been demoted, or whose primary has, is about to know the next.
    await(now -> now.isPrimary() || now.primary().isPresent(), CONNECTION_LIMIT);
    RoleState now = state;
    if (now.isPrimary()) {
      return;
    }
    PrimaryInfo primary =
        now.primary().orElseThrow(() -> new IOException("this node is not connected to a primary"));
    // Before writers are made to wait: this node gets through to who gives the lease.
    leaser.primary();
    peers.askForLease(primary.advertiseUrl());
    if (!await(RoleState::isPrimary, PROMOTION_LIMIT)) {
      throw new IOException(
          "the primary has handed over, but this node does not lead; see its log");
    }
  }

  /** False if the role is no such within {@code limit}. */
  private boolean await(Predicate<RoleState> wanted, Duration limit) throws IOException {
    long nanos = limit.toNanos();
    changing.lock();
    try {
      while (!wanted.test(state)) {
        if (nanos <= 0) {
          return false;
        }
        nanos = changed.awaitNanos(nanos);
      }
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } finally {
      changing.unlock();
    }
  }

  /** Once, as soon as this node is in sync. */
  private void prepareForTheLease() {
    Thread preparation =
        new Thread(
            () -> {
              rehearse();
              if (options.promote()) {
                promoteSelf();
              }
            },
            "litefs-promote");
    preparation.setDaemon(true);
    preparation.start();
  }

  private void rehearse() {
    try {
      leaser.rehearse();
    } catch (IOException | RuntimeException e) {
      if (!isClosed()) {
        log.warn("this node could not take over the lease: {}", e.getMessage());
      }
    }
  }

  /** {@code lease.promote}. */
  private void promoteSelf() {
    try {
      promote();
    } catch (IOException e) {
      log.warn("lease.promote: not promoted: {}", e.getMessage());
    }
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
    if (lease == null) {
      change(Role.SEARCHING, Optional.empty());
    }
  }

  private void awaitAnother(PrimaryInfo primary) throws InterruptedException {
    Optional<PrimaryInfo> named = Optional.of(primary);
    while (!isClosed() && lease == null) {
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

  private void change(Role role, Optional<PrimaryInfo> primary) {
    changing.lock();
    try {
      RoleState before = state;
      if (before.sameAs(role, primary)) {
        return;
      }
      RoleState now = new RoleState(role, primary, clock.instant());
      state = now;
      log.info("role: {} -> {}{}", before.role(), role, describe(now));
      // After the change: the kernel asks again as soon as it has forgotten.
      kernel.invalidateEntry(".primary");
      kernel.invalidateAttributes(".lag");
      for (Consumer<RoleState> listener : listeners) {
        listener.accept(now);
      }
      changed.signalAll();
    } finally {
      changing.unlock();
    }
  }

  private String describe(RoleState now) {
    return switch (now.role()) {
      case SEARCHING, HANDING_OVER, DEMOTED -> "";
      case REPLICA ->
          now.primary().map(p -> " of " + p.hostname() + " (" + p.advertiseUrl() + ")").orElse("");
      case PRIMARY -> " of cluster " + store.clusterId();
    };
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
      if (over || lease != null) {
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
      change(Role.REPLICA, Optional.of(primary));
    }

    @Override
    public void ready() {
      lag.synced();
      if (lag.lastWordMillis() == 0) {
        lag.heard(clock.millis());
      }
      kernel.invalidateAttributes(".lag");
      ready.complete(null);
      if (options.candidate() && options.elected() && !prepared) {
        prepared = true;
        prepareForTheLease();
      }
    }

    @Override
    public void handoff(String leaseId) throws IOException {
      receive(leaseId);
    }

    @Override
    public void heartbeat(Instant primaryTime) {
      lag.heard(primaryTime.toEpochMilli());
      kernel.invalidateAttributes(".lag");
    }

    /** Why has been logged by the stream's client. */
    @Override
    public void disconnected(Throwable cause) {
      if (!over && lease == null) {
        change(Role.SEARCHING, Optional.empty());
      }
    }
  }
}

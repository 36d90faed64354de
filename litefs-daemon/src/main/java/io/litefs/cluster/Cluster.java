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
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The role of this node, and the one place where it changes.
 *
 * <pre>
 *              lease acquired
 *   SEARCHING ----------------> PRIMARY
 *     |   ^ <------------------
 *     |   |      lease lost
 *     v   | stream broken
 *    REPLICA
 * </pre>
 *
 * A thread of its own asks for the lease if this node is a candidate, else follows the primary that
 * the lease names. Every change is logged on one line, told to the kernel ({@code .primary}), and
 * told to listeners, in this order and one after the other.
 *
 * <p>Thread-safe.
 */
public final class Cluster implements PrimaryView, Closeable {

  /** Longest single wait for the lease to name another primary. */
  private static final Duration LEASE_WAIT = Duration.ofHours(1);

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
  private final Lag lag;

  private final List<Consumer<RoleState>> listeners = new CopyOnWriteArrayList<>();

  /** Completes when this node is primary or has all that the primary has, for the first time. */
  private final CompletableFuture<Void> ready = new CompletableFuture<>();

  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread thread = new Thread(this::run, "litefs-cluster");

  /** Held during a change of the role, its announcement included. */
  private final ReentrantLock changing = new ReentrantLock();

  private volatile RoleState state;

  public Cluster(
      Leaser leaser,
      RoleStore store,
      StreamStarter streams,
      KernelCache kernel,
      ClusterOptions options,
      InstantSource clock) {
    this.leaser = leaser;
    this.store = store;
    this.streams = streams;
    this.kernel = kernel;
    this.options = options;
    this.clock = clock;
    this.lag = new Lag(clock);
    this.state = new RoleState(Role.SEARCHING, Optional.empty(), clock.instant());
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

  /** Completes once this node is primary or in sync with it; exceptionally if it can never be. */
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

  /** Ends the stream or gives the lease back. The store stays as it is. */
  @Override
  public void close() {
    closed.countDown();
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

  private void run() {
    try {
      while (!isClosed()) {
        try {
          takeRole();
        } catch (IOException e) {
          log.warn(
              "{}; trying again in {} ms", e.getMessage(), options.reconnectDelay().toMillis());
          closed.await(options.reconnectDelay().toMillis(), TimeUnit.MILLISECONDS);
        }
      }
    } catch (InterruptedException e) {
      // Only close() interrupts.
      log.debug("the cluster's thread ends");
    } catch (RuntimeException e) {
      log.error("this node can take no role any more", e);
      ready.completeExceptionally(e);
    }
  }

  /** Takes a role and keeps it as long as the lease allows. */
  private void takeRole() throws IOException, InterruptedException {
    Optional<Lease> lease = options.candidate() ? leaser.acquire() : Optional.empty();
    if (lease.isPresent()) {
      lead(lease.get());
      return;
    }
    Optional<PrimaryInfo> primary = leaser.primary();
    if (primary.isPresent()) {
      follow(primary.get());
    } else {
      leaser.awaitPrimaryOtherThan(primary, options.reconnectDelay());
    }
  }

  /** A lease without a time to live, which is all there is yet, lasts until this is closed. */
  private void lead(Lease lease) throws IOException, InterruptedException {
    try (lease) {
      store.becomePrimary();
      change(Role.PRIMARY, Optional.empty());
      ready.complete(null);
      closed.await();
    }
  }

  /** Follows {@code primary} until the lease names another, or none. */
  private void follow(PrimaryInfo primary) throws IOException, InterruptedException {
    store.becomeReplica(options.candidate());
    Optional<PrimaryInfo> named = Optional.of(primary);
    Follower follower = new Follower(primary);
    try (Closeable stream = streams.follow(primary.advertiseUrl(), store.replicaSink(follower))) {
      log.debug("following {} with {}", primary.advertiseUrl(), stream);
      while (!isClosed() && named.equals(leaser.awaitPrimaryOtherThan(named, LEASE_WAIT))) {
        // The same primary for another while; it waits, it does not poll.
        continue;
      }
    }
    change(Role.SEARCHING, Optional.empty());
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
    } finally {
      changing.unlock();
    }
  }

  private String describe(RoleState now) {
    return switch (now.role()) {
      case SEARCHING -> "";
      case REPLICA ->
          now.primary().map(p -> " of " + p.hostname() + " (" + p.advertiseUrl() + ")").orElse("");
      case PRIMARY -> " of cluster " + store.clusterId();
    };
  }

  /** What the stream from one primary tells. Called on the stream's thread. */
  private final class Follower implements ReplicaListener {

    private final PrimaryInfo primary;

    Follower(PrimaryInfo primary) {
      this.primary = primary;
    }

    @Override
    public void connected(long nodeId, String clusterId) throws IOException {
      String own = store.clusterId();
      if (clusterId != null && own != null && !own.equals(clusterId)) {
        throw new StreamRefusedException(
            "this node's data belongs to cluster "
                + own
                + ", the primary at "
                + primary.advertiseUrl()
                + " is of cluster "
                + clusterId
                + "; correct lease.advertise-url, or give this node an empty data directory");
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
    }

    @Override
    public void heartbeat(Instant primaryTime) {
      lag.heard(primaryTime.toEpochMilli());
      kernel.invalidateAttributes(".lag");
    }

    /** Why has been logged by the stream's client. */
    @Override
    public void disconnected(Throwable cause) {
      change(Role.SEARCHING, Optional.empty());
    }
  }
}

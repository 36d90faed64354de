package io.litefs.cluster;

import io.litefs.lease.Lease;
import io.litefs.lease.LeaseException;
import io.litefs.lease.Leaser;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * The lease that this node leads with: taken, kept, handed on, received, lost, given back. Whoever
 * changes it changes the databases and the role with it. Thread-safe.
 */
final class Leadership {

  /** Longest single wait for the end of a lease. */
  private static final Duration LEASE_WAIT = Duration.ofHours(1);

  /** How long a writer that is at work may hold up a handoff. */
  private static final Duration WRITER_PATIENCE = Duration.ofSeconds(2);

  private static final Logger log = LoggerFactory.getLogger(Leadership.class);

  private final Leaser leaser;
  private final RoleStore store;
  private final Handover handover;
  private final ClusterOptions options;
  private final InstantSource clock;
  private final Lag lag;
  private final CurrentRole role;

  /** Down when this node stops; no lease is taken any more. */
  private final CountDownLatch closed;

  /** Held while the lease goes to another node, and while it is decided what its end means. */
  private final ReentrantLock handing = new ReentrantLock();

  /** Null if this node does not lead. */
  private volatile Lease lease;

  /** No lease is taken before; as {@link System#nanoTime} counts. */
  private volatile long yieldUntilNanos = System.nanoTime();

  Leadership(
      Leaser leaser,
      RoleStore store,
      Handover handover,
      ClusterOptions options,
      InstantSource clock,
      Lag lag,
      CurrentRole role,
      CountDownLatch closed) {
    this.leaser = leaser;
    this.store = store;
    this.handover = handover;
    this.options = options;
    this.clock = clock;
    this.lag = lag;
    this.role = role;
    this.closed = closed;
  }

  /** Whether this node leads; a lease that is over may not have been noticed yet. */
  boolean isThere() {
    return lease != null;
  }

  /** See {@link Cluster#mayCommit}. */
  boolean mayCommit() {
    Lease held = lease;
    return held != null && held.isHeld();
  }

  /** See {@link Cluster#leaseRemaining}. */
  Optional<Duration> remaining() {
    Lease held = lease;
    return held == null ? Optional.empty() : held.remaining();
  }

  /** Whether this node leaves a free lease to others, for it has just handed it over. */
  boolean yields() {
    return System.nanoTime() - yieldUntilNanos < 0;
  }

  // ------------------------------------------------------------ taking it

  /** See {@link Cluster#takeAssignedLease}. The role is told by {@link #announce}. */
  void takeAssigned() throws IOException {
    handing.lock();
    try {
      Optional<Lease> assigned = leaser.acquire();
      if (assigned.isPresent()) {
        joinCluster(assigned.get());
        takeDatabases(assigned.get());
      }
    } finally {
      handing.unlock();
    }
  }

  /** Makes this node the primary, or gives the lease back. */
  void begin(Lease acquired) throws IOException {
    handing.lock();
    try {
      joinCluster(acquired);
      takeDatabases(acquired);
      announce();
    } finally {
      handing.unlock();
    }
  }

  void announce() {
    role.change(Role.PRIMARY);
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

  private boolean isClosed() {
    return closed.getCount() == 0;
  }

  // ------------------------------------------------------------ keeping and losing it

  /** Returns once this node does not lead any more. */
  void keep() throws InterruptedException {
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
          stepDown(end.get(), Level.WARN);
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
    role.change(Role.DEMOTED);
  }

  /** Gives it back, if this node has one that others can get. */
  void giveBack() {
    if (!options.elected()) {
      return;
    }
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

  // ------------------------------------------------------------ handing it on

  /** To any candidate that is connected, for this node is about to stop. */
  void handOffToAny() {
    if (isClosed() || !options.elected() || role.state().role() != Role.PRIMARY) {
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

  /** See {@link Cluster#handOff}. */
  void handOff(long nodeId) throws IOException {
    if (!handing.tryLock()) {
      throw new IOException("another change of the lease is under way; try again");
    }
    try {
      Lease held = lease;
      if (held == null || role.state().role() != Role.PRIMARY) {
        throw new IOException("this node is not the primary");
      }
      if (!options.elected()) {
        held.handOff(); // says why not
      }
      handover.requireFit(nodeId);
      renewEarly(held);
      try (Handover.Pace pace = handover.keepClose(nodeId)) {
        role.change(Role.HANDING_OVER);
        handover.settle();
        store.holdWriters(WRITER_PATIENCE);
      } catch (IOException e) {
        role.change(Role.PRIMARY);
        throw e;
      }
      send(held, nodeId);
      lease = null;
      yieldUntilNanos = System.nanoTime() + options.demoteDelay().toNanos();
      lag.ledUntil(clock.millis());
      store.becomeReplica(options.candidate());
      role.change(Role.DEMOTED);
    } finally {
      handing.unlock();
    }
  }

  /** Before writers are made to wait: they would for a renewal that is under way. */
  private static void renewEarly(Lease held) throws IOException {
    try {
      held.renewNow();
    } catch (LeaseException e) {
      throw e;
    } catch (IOException e) {
      // The successor may get through to Consul, or this node's is about to stop as well.
      log.info("handing over a lease that could not be renewed before: {}", e.getMessage());
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
        stepDown("it could neither be handed over nor be kept: " + again.getMessage(), Level.WARN);
      }
      throw e;
    }
  }

  private void goOn(Lease held) {
    lease = held;
    store.releaseWriters();
    role.change(Role.PRIMARY);
  }

  /** The primary has handed its lease to this node. On the stream's thread. */
  void receive(String leaseId) throws IOException {
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
      takeDatabases(taken);
      announce();
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
}

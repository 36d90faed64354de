package io.litefs.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.fuse.KernelCache;
import io.litefs.lease.Lease;
import io.litefs.lease.LeaseException;
import io.litefs.lease.Leaser;
import io.litefs.lease.PrimaryInfo;
import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSink;
import io.litefs.store.ReplicaListener;
import java.io.Closeable;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a primary that was elected does when it is asked to hand over, in which order. */
@Timeout(30)
class ClusterHandoffTest {

  private static final PrimaryInfo SELF = new PrimaryInfo("one", URI.create("http://one:20202"));
  private static final long REPLICA = 7;

  private final List<String> events = new CopyOnWriteArrayList<>();
  private final List<Role> roles = new CopyOnWriteArrayList<>();
  private final AtomicBoolean leaseIsFree = new AtomicBoolean(true);
  private final CountDownLatch leads = new CountDownLatch(1);
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile boolean commitHangs;
  private volatile boolean writerDoesNotEnd;
  private volatile boolean consulIsAway;
  private volatile boolean receiverIsGone;
  private volatile boolean leaseIsLost;
  private volatile Instant now = Instant.parse("2026-01-02T03:04:05Z");

  /** How late this node notices that its lease is over. */
  private volatile Duration overdue = Duration.ZERO;

  private final CompletableFuture<String> leaseEnd = new CompletableFuture<>();

  private final Cluster cluster =
      new Cluster(
          new FakeLeaser(),
          new FakeStore(),
          new NoStreams(),
          new FakeHandover(),
          new NoPeers(),
          new NoCache(),
          new ClusterOptions(SELF, true, true, false, Duration.ofMillis(10), Duration.ofHours(1)),
          () -> now);

  @BeforeEach
  void lead() throws Exception {
    cluster.start();
    leads.await(); // with all that belongs to it: nothing of it stands in the way of a handoff
    cluster.onChange(change -> roles.add(change.role()));
    events.clear();
  }

  @AfterEach
  void close() {
    cluster.close();
  }

  @Test
  void commitsThatTheLeaseHasLetPassGoBeforeTheLease() throws IOException {
    cluster.handOff(REPLICA);
    assertThat(events)
        .startsWith(
            "renew lease",
            "pace",
            "hold writers",
            "free",
            "lease: over",
            "await commits",
            "send lease",
            "become replica")
        .doesNotContain("release writers");
    assertThat(roles).startsWith(Role.HANDING_OVER, Role.DEMOTED);
  }

  @Test
  void aCommitThatDoesNotEndKeepsTheLeaseHere() {
    commitHangs = true;
    assertThatThrownBy(() -> cluster.handOff(REPLICA)).hasMessage("a.db: does not end");
    assertThat(events)
        .endsWith(
            "hold writers",
            "free",
            "lease: over",
            "await commits",
            "take lease back",
            "release writers");
    assertThat(cluster.state().role()).isEqualTo(Role.PRIMARY);
    assertThat(cluster.mayCommit()).isTrue();
  }

  @Test
  void aLeaseThatCannotBeSentIsTakenBack() {
    receiverIsGone = true;
    assertThatThrownBy(() -> cluster.handOff(REPLICA)).hasMessage("gone");
    assertThat(events).endsWith("send lease", "take lease back", "release writers");
    assertThat(cluster.state().role()).isEqualTo(Role.PRIMARY);
  }

  @Test
  void aWriterThatDoesNotEndKeepsTheLeaseAndNobodyIsPacedAnyMore() {
    writerDoesNotEnd = true;
    assertThatThrownBy(() -> cluster.handOff(REPLICA)).hasMessage("a.db: python is writing");
    assertThat(events).containsExactly("renew lease", "pace", "hold writers", "free");
    assertThat(cluster.state().role()).isEqualTo(Role.PRIMARY);
  }

  /** The successor may get through to it. */
  @Test
  void aLeaseThatCannotBeRenewedIsHandedOverAllTheSame() throws IOException {
    consulIsAway = true;
    cluster.handOff(REPLICA);
    assertThat(events).contains("send lease", "become replica");
  }

  /** Else the databases would be taken from applications and given back in the same breath. */
  @Test
  void writersAreNotLetGoByANodeThatLosesTheLeaseMeanwhile() {
    receiverIsGone = true;
    leaseIsLost = true;
    assertThatThrownBy(() -> cluster.handOff(REPLICA)).hasMessage("gone");
    assertThat(events)
        .containsSubsequence("send lease", "take lease back", "become replica")
        .doesNotContain("release writers");
    assertThat(roles).startsWith(Role.HANDING_OVER, Role.DEMOTED);
  }

  /** It had all that there was. */
  @Test
  void theLagOfANodeThatHasHandedOverBeginsThen() throws IOException {
    now = now.plusSeconds(600);
    cluster.handOff(REPLICA);
    assertThat(cluster.lagMillis()).isZero();
    now = now.plusMillis(400);
    assertThat(cluster.lagMillis()).isEqualTo(400);
  }

  /** A process that was stopped meanwhile notices late. */
  @Test
  void theLagOfANodeThatHasLostItsLeaseBeginsAtTheEndOfTheLease() throws Exception {
    now = now.plusSeconds(600);
    overdue = Duration.ofSeconds(7);
    CountDownLatch demoted = new CountDownLatch(1);
    cluster.onChange(change -> demoted.countDown());
    leaseEnd.complete("it was not renewed");
    demoted.await();
    assertThat(cluster.state().role()).isEqualTo(Role.DEMOTED);
    assertThat(cluster.lagMillis()).isEqualTo(7000);
    assertThat(cluster.lastHeardMillis()).isEqualTo(now.minusSeconds(7).toEpochMilli());
  }

  private final class FakeLease implements Lease {
    private final CompletableFuture<String> end = leaseEnd.copy();

    @Override
    public String id() {
      return "id";
    }

    @Override
    public Optional<Duration> timeToLive() {
      return Optional.empty();
    }

    @Override
    public Optional<Duration> remaining() {
      return Optional.empty();
    }

    @Override
    public Duration overdue() {
      return overdue;
    }

    @Override
    public boolean isHeld() {
      return !end.isDone();
    }

    @Override
    public Optional<String> awaitEnd(Duration timeout) throws InterruptedException {
      leads.countDown();
      try {
        return Optional.of(end.get(timeout.toNanos(), TimeUnit.NANOSECONDS));
      } catch (TimeoutException e) {
        return Optional.empty();
      } catch (ExecutionException e) {
        throw new AssertionError(e);
      }
    }

    @Override
    public void renewNow() throws IOException {
      events.add("renew lease");
      if (consulIsAway) {
        throw new IOException("cannot be reached");
      }
    }

    @Override
    public String handOff() {
      events.add("lease: over");
      end.complete("it was handed over");
      return id();
    }

    @Override
    public void close() {
      end.complete("it was given back");
    }
  }

  private final class FakeLeaser implements Leaser {
    @Override
    public Optional<Lease> acquire() {
      return leaseIsFree.getAndSet(false) ? Optional.of(new FakeLease()) : Optional.empty();
    }

    @Override
    public Lease takeOver(String leaseId) throws LeaseException {
      events.add("take lease back");
      if (leaseIsLost) {
        throw new LeaseException("it has ended");
      }
      return new FakeLease();
    }

    @Override
    public Optional<PrimaryInfo> primary() {
      return Optional.empty();
    }

    @Override
    public Optional<PrimaryInfo> awaitPrimaryOtherThan(
        Optional<PrimaryInfo> known, Duration timeout) throws InterruptedException {
      closed.await(timeout.toNanos(), TimeUnit.NANOSECONDS);
      return known;
    }

    @Override
    public Optional<String> clusterId() {
      return Optional.empty();
    }

    @Override
    public String establishClusterId(String proposed) {
      return proposed;
    }

    @Override
    public void announce() {}

    @Override
    public Set<URI> peers() {
      return Set.of();
    }

    @Override
    public void close() {
      closed.countDown();
    }
  }

  private final class FakeStore implements RoleStore {
    private volatile String clusterId;

    @Override
    public String clusterId() {
      return clusterId;
    }

    @Override
    public void adoptClusterId(String id) {
      clusterId = id;
    }

    @Override
    public void prepareToLead() {
      events.add("prepare to lead");
    }

    @Override
    public void becomePrimary(BooleanSupplier mayCommit) {
      events.add("become primary");
    }

    @Override
    public void becomeReplica(boolean candidate) {
      events.add("become replica");
    }

    @Override
    public void holdWriters(Duration patience) throws IOException {
      events.add("hold writers");
      if (writerDoesNotEnd) {
        throw new IOException("a.db: python is writing");
      }
    }

    @Override
    public void releaseWriters() {
      events.add("release writers");
    }

    @Override
    public void awaitCommits(Duration patience) throws IOException {
      events.add("await commits");
      if (commitHangs) {
        throw new IOException("a.db: does not end");
      }
    }

    @Override
    public Map<String, Pos> positions() {
      return Map.of();
    }

    @Override
    public ChangeSink replicaSink(ReplicaListener listener) {
      throw new AssertionError("nobody leads that could be followed");
    }
  }

  private final class FakeHandover implements Handover {
    @Override
    public Optional<Long> successor() {
      return Optional.empty();
    }

    @Override
    public void requireFit(long nodeId) {
      assertThat(nodeId).isEqualTo(REPLICA);
    }

    @Override
    public Pace keepClose(long nodeId) {
      events.add("pace");
      return () -> events.add("free");
    }

    @Override
    public void settle() {}

    @Override
    public void send(long nodeId, String leaseId) throws IOException {
      events.add("send lease");
      if (receiverIsGone) {
        throw new IOException("gone");
      }
    }
  }

  private static final class NoStreams implements StreamStarter {
    @Override
    public Closeable follow(URI primary, ChangeSink sink) {
      throw new AssertionError("nobody leads that could be followed");
    }

    @Override
    public void fetchTail(URI node, ChangeSink sink) throws IOException {
      throw new IOException("nobody");
    }
  }

  private static final class NoPeers implements Peers {
    @Override
    public Standing standing(URI node) throws IOException {
      throw new IOException("nobody");
    }

    @Override
    public void askForLease(URI primary) throws IOException {
      throw new IOException("nobody");
    }
  }

  private static final class NoCache implements KernelCache {
    @Override
    public void store(String name, long offset, ByteBuffer data) {}

    @Override
    public void invalidate(String name, long offset, long length) {}

    @Override
    public void invalidateAttributes(String name) {}

    @Override
    public void invalidateEntry(String name) {}

    @Override
    public void later(Runnable notification) {
      notification.run();
    }
  }
}

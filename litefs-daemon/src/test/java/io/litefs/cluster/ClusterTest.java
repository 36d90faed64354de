package io.litefs.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.fuse.KernelCache;
import io.litefs.lease.PrimaryInfo;
import io.litefs.lease.StaticLeaser;
import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSink;
import io.litefs.replication.StreamRefusedException;
import io.litefs.store.ReplicaListener;
import java.io.Closeable;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class ClusterTest {

  private static final PrimaryInfo PRIMARY = new PrimaryInfo("one", URI.create("http://one:20202"));
  private static final Handover NO_HANDOVER =
      new Handover() {
        @Override
        public Optional<Long> successor() {
          return Optional.empty();
        }

        @Override
        public void requireFit(long nodeId) throws IOException {
          throw new IOException("not connected");
        }

        @Override
        public Pace keepClose(long nodeId) {
          throw new AssertionError("not connected");
        }

        @Override
        public void settle() {}

        @Override
        public void send(long nodeId, String leaseId) throws IOException {
          throw new IOException("not connected");
        }
      };

  private static final Peers NO_PEERS =
      new Peers() {
        @Override
        public Standing standing(URI node) throws IOException {
          throw new IOException("nobody");
        }

        @Override
        public void askForLease(URI primary) throws IOException {
          throw new IOException("nobody");
        }
      };

  private static final Instant START = Instant.parse("2026-01-02T03:04:05Z");

  private final FakeStore store = new FakeStore();
  private final RecordingCache kernel = new RecordingCache();
  private final BlockingQueue<RoleState> changes = new LinkedBlockingQueue<>();
  private final CompletableFuture<URI> followed = new CompletableFuture<>();
  private final CompletableFuture<Void> streamClosed = new CompletableFuture<>();
  private volatile Instant now = START;

  /** How often a stream cannot even be begun. */
  private volatile int faults;

  private Cluster cluster;

  private Cluster start(boolean candidate) {
    create(candidate).start();
    return cluster;
  }

  private Cluster create(boolean candidate) {
    InstantSource clock = () -> now;
    cluster =
        new Cluster(
            new StaticLeaser(candidate, PRIMARY),
            store,
            new StreamStarter() {
              @Override
              public Closeable follow(URI primary, ChangeSink sink) {
                return ClusterTest.this.follow(primary, sink);
              }

              @Override
              public void fetchTail(URI node, ChangeSink sink) throws IOException {
                throw new IOException("nobody");
              }
            },
            NO_HANDOVER,
            NO_PEERS,
            kernel,
            new ClusterOptions(
                PRIMARY, false, candidate, false, Duration.ofMillis(10), Duration.ZERO),
            clock);
    cluster.onChange(changes::add);
    return cluster;
  }

  private Closeable follow(URI primary, ChangeSink sink) {
    if (faults-- > 0) {
      throw new IllegalArgumentException("no URL for a stream");
    }
    followed.complete(primary);
    return () -> streamClosed.complete(null);
  }

  private ReplicaListener replica() throws Exception {
    start(false);
    followed.get(10, TimeUnit.SECONDS);
    return store.listener;
  }

  @AfterEach
  void close() {
    cluster.close();
  }

  @Test
  void theCandidateBecomesPrimaryAndIsReady() throws Exception {
    start(true).ready().get(10, TimeUnit.SECONDS);
    assertThat(cluster.state().role()).isEqualTo(Role.PRIMARY);
    assertThat(cluster.primaryHostname()).isNull();
    assertThat(cluster.lagMillis()).isZero();
    assertThat(store.role).isEqualTo("primary");
    assertThat(changes.take().isPrimary()).isTrue();
    assertThat(kernel.entries).as("there was none, there is none").isEmpty();
  }

  @Test
  void aStaticLeaseIsTakenBeforeTheThreadStarts() throws Exception {
    create(true).takeAssignedLease();
    assertThat(store.role).isEqualTo("primary");
    assertThat(cluster.mayCommit()).isTrue();
    assertThat(cluster.state().role()).as("told when the mount is there").isEqualTo(Role.SEARCHING);
    cluster.start();
    cluster.ready().get(10, TimeUnit.SECONDS);
    assertThat(cluster.state().role()).isEqualTo(Role.PRIMARY);
    assertThat(changes).hasSize(1);
  }

  @Test
  void aStaticLeaseThatCannotBeTakenBeforeIsTakenAfterwards() throws Exception {
    store.failures = 1;
    create(true).takeAssignedLease();
    assertThat(cluster.state().role()).isEqualTo(Role.SEARCHING);
    cluster.start();
    cluster.ready().get(10, TimeUnit.SECONDS);
  }

  @Test
  void aReplicaHasNoAssignedRole() {
    create(false).takeAssignedLease();
    assertThat(cluster.state().role()).isEqualTo(Role.SEARCHING);
  }

  @Test
  void aPrimaryThatCannotWriteItsClusterIdTriesAgain() throws Exception {
    store.failures = 2;
    start(true).ready().get(10, TimeUnit.SECONDS);
    assertThat(store.role).isEqualTo("primary");
  }

  @Test
  void aFaultIsNotTheEndOfTheSearchForARole() throws Exception {
    faults = 2;
    replica().connected(7, null);
    assertThat(cluster.state().role()).isEqualTo(Role.REPLICA);
  }

  @Test
  void anotherNodeFollowsThePrimaryAndIsReadyOnceInSync() throws Exception {
    ReplicaListener listener = replica();
    assertThat(followed.join()).isEqualTo(PRIMARY.advertiseUrl());
    assertThat(store.role).isEqualTo("replica, candidate false");
    assertThat(cluster.state().role()).isEqualTo(Role.SEARCHING);
    assertThat(cluster.primaryHostname()).isNull();

    listener.connected(7, "LFSC0000000000000001");
    assertThat(cluster.state().role()).isEqualTo(Role.REPLICA);
    assertThat(cluster.primaryHostname()).isEqualTo("one");
    assertThat(store.clusterId).isEqualTo("LFSC0000000000000001");
    assertThat(cluster.ready()).isNotDone();

    listener.ready();
    assertThat(cluster.ready()).isCompleted();
  }

  @Test
  void theNameOfThePrimaryGoesWithTheStreamAndComesBack() throws Exception {
    ReplicaListener listener = replica();
    listener.connected(7, null);
    listener.disconnected(new IOException("reset"));
    assertThat(cluster.primaryHostname()).isNull();
    listener.connected(7, null);
    assertThat(changes)
        .extracting(RoleState::role)
        .containsExactly(Role.REPLICA, Role.SEARCHING, Role.REPLICA);
    assertThat(kernel.entries).containsExactly(".primary", ".primary", ".primary");
  }

  @Test
  void attemptsThatFailAreNoChanges() throws Exception {
    ReplicaListener listener = replica();
    listener.disconnected(new IOException("connection refused"));
    listener.disconnected(new IOException("connection refused"));
    assertThat(changes).isEmpty();
  }

  @Test
  void aPrimaryOfAnotherClusterIsRefusedByBothIds() throws Exception {
    store.clusterId = "LFSC0000000000000001";
    ReplicaListener listener = replica();
    assertThatThrownBy(() -> listener.connected(7, "LFSC0000000000000002"))
        .isInstanceOf(StreamRefusedException.class)
        .hasMessageContainingAll(
            "LFSC0000000000000001", "LFSC0000000000000002", PRIMARY.advertiseUrl().toString());
    assertThat(cluster.state().role()).isEqualTo(Role.SEARCHING);
  }

  @Test
  void lagIsTheTimeSinceThePrimarysLastWord() throws Exception {
    ReplicaListener listener = replica();
    assertThat(cluster.lagMillis()).isEqualTo(Integer.MAX_VALUE);
    listener.connected(7, null);
    cluster.applied(START.minusSeconds(60).toEpochMilli());
    assertThat(cluster.lagMillis()).as("not in sync yet").isEqualTo(Integer.MAX_VALUE);

    listener.ready();
    listener.heartbeat(START);
    now = START.plusMillis(400);
    assertThat(cluster.lagMillis()).isEqualTo(400);
    assertThat(cluster.lastHeardMillis()).isEqualTo(START.toEpochMilli());

    cluster.applied(START.plusMillis(300).toEpochMilli());
    assertThat(cluster.lagMillis()).isEqualTo(100);

    listener.disconnected(null);
    now = START.plusSeconds(10);
    assertThat(cluster.lagMillis()).as("it goes on growing without a stream").isEqualTo(9700);
  }

  @Test
  void aPrimaryWhoseClockIsAheadGivesNoNegativeLag() throws Exception {
    ReplicaListener listener = replica();
    listener.connected(7, null);
    listener.ready();
    listener.heartbeat(START.plusSeconds(5));
    assertThat(cluster.lagMillis()).isZero();
  }

  @Test
  void closingEndsTheStream() throws Exception {
    replica();
    cluster.close();
    streamClosed.get(10, TimeUnit.SECONDS);
  }

  private static final class FakeStore implements RoleStore {
    volatile String clusterId;
    volatile String role = "none";
    volatile int failures;
    volatile ReplicaListener listener;

    @Override
    public String clusterId() {
      return clusterId;
    }

    @Override
    public void adoptClusterId(String id) {
      clusterId = id;
    }

    @Override
    public void holdWriters(Duration patience) {
      throw new AssertionError("a static lease changes no hands");
    }

    @Override
    public void releaseWriters() {
      throw new AssertionError("a static lease changes no hands");
    }

    @Override
    public void awaitCommits(Duration patience) {
      throw new AssertionError("a static lease changes no hands");
    }

    @Override
    public Map<String, Pos> positions() {
      return Map.of();
    }

    @Override
    public void prepareToLead() {
      // Nothing needs the disk here.
    }

    @Override
    public void becomePrimary(BooleanSupplier mayCommit) throws IOException {
      if (failures-- > 0) {
        throw new IOException("disk full");
      }
      role = "primary";
    }

    @Override
    public void becomeReplica(boolean candidate) {
      role = "replica, candidate " + candidate;
    }

    @Override
    public ChangeSink replicaSink(ReplicaListener replicaListener) {
      listener = replicaListener;
      return null;
    }
  }

  private static final class RecordingCache implements KernelCache {
    final List<String> entries = new java.util.concurrent.CopyOnWriteArrayList<>();

    @Override
    public void store(String name, long offset, ByteBuffer data) {
      throw new AssertionError("no data changes with a role");
    }

    @Override
    public void invalidate(String name, long offset, long length) {
      throw new AssertionError("no data changes with a role");
    }

    @Override
    public void invalidateAttributes(String name) {
      assertThat(name).isEqualTo(".lag");
    }

    @Override
    public void invalidateEntry(String name) {
      entries.add(name);
    }

    @Override
    public void later(Runnable notification) {
      notification.run();
    }
  }
}

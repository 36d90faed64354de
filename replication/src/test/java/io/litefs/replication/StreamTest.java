package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Primary and replica over the loopback interface. */
@Timeout(30)
class StreamTest {
  private static final long PRIMARY = 0xaa;
  private static final long REPLICA = 0xbb;
  private static final Duration FAST = Duration.ofMillis(20);
  private static final StreamClient.Options CLIENT =
      new StreamClient.Options(
          FAST,
          FAST,
          Duration.ofSeconds(5),
          Duration.ofSeconds(5),
          Duration.ofSeconds(5),
          2 * 1024 * 1024);

  private final FakeSource source = new FakeSource();
  private final FakeSink sink = new FakeSink();
  private final StreamHandler handler =
      new StreamHandler(
          source,
          PRIMARY,
          () -> "LFSC00000000000000CC",
          new StreamHandler.Options(
              Duration.ofMillis(50), Duration.ofMillis(300), Duration.ofMillis(300)));
  private final TestServer server = new TestServer().route("POST /stream", handler);
  private StreamClient client;

  @AfterEach
  void stop() {
    if (sink.gate != null) {
      sink.gate.countDown();
    }
    if (client != null) {
      client.close();
    }
    handler.close();
    server.close();
  }

  private StreamClient client(String... filter) {
    return new StreamClient(server.uri(), REPLICA, Set.of(filter), sink, CLIENT);
  }

  private void connect(String... filter) throws Exception {
    server.start();
    client = client(filter);
    client.start();
    assertThat(sink.next()).isEqualTo("connected aa LFSC00000000000000CC");
  }

  private List<String> untilReady() throws InterruptedException {
    List<String> events = new ArrayList<>();
    for (String event = sink.next(); !event.equals("ready"); event = sink.next()) {
      events.add(event);
    }
    return events;
  }

  private static Pos otherHistory(String name, long txid) {
    return new Pos(new Txid(txid), new Checksum(FakeSource.checksum(name, txid).value() ^ 1));
  }

  @Test
  void replicaWithNothingGetsASnapshotOfEachDatabase() throws Exception {
    source.commits("a.db", 3).commits("b.db", 1);
    connect();

    assertThat(untilReady()).containsExactly("snapshot a.db 3 100", "snapshot b.db 1 100");
  }

  @Test
  void primaryWithNothingIsReadyAtOnce() throws Exception {
    connect();

    assertThat(untilReady()).isEmpty();
  }

  @Test
  void replicaThatIsBehindGetsWhatItLacks() throws Exception {
    source.commits("a.db", 4).commits("b.db", 2);
    sink.positions.put("a.db", FakeSource.pos("a.db", 2));
    sink.positions.put("b.db", FakeSource.pos("b.db", 2));
    connect();

    assertThat(untilReady()).containsExactly("ltx a.db 3 100", "ltx a.db 4 100");
  }

  @Test
  void nodeThatIsAboutToLeadGetsOnlyWhatContinuesItsOwnAlsoFromAReplica() throws Exception {
    source.commits("behind.db", 4).commits("differs.db", 3).commits("new.db", 2);
    source.commits("reaped.db", 5).forgetFilesUpTo("reaped.db", 3);
    source.primary = false;
    sink.positions.put("behind.db", FakeSource.pos("behind.db", 2));
    sink.positions.put("differs.db", otherHistory("differs.db", 2));
    sink.positions.put("only-here.db", FakeSource.pos("only-here.db", 1));
    sink.positions.put("reaped.db", FakeSource.pos("reaped.db", 2));
    server.start();
    client = client().forTheTail();
    client.runOnce();

    assertThat(List.copyOf(sink.events))
        .containsExactly(
            "connected aa LFSC00000000000000CC",
            "ltx behind.db 3 100",
            "ltx behind.db 4 100",
            "snapshot new.db 2 100",
            "disconnected");
  }

  @Test
  void replicaWithAnotherHistoryGetsASnapshot() throws Exception {
    source.commits("ahead.db", 3).commits("differs.db", 3).commits("differed.db", 3);
    source.commits("reaped.db", 5).forgetFilesUpTo("reaped.db", 3);
    sink.positions.put("ahead.db", FakeSource.pos("ahead.db", 9));
    sink.positions.put("differs.db", otherHistory("differs.db", 3));
    sink.positions.put("differed.db", otherHistory("differed.db", 2));
    sink.positions.put("reaped.db", FakeSource.pos("reaped.db", 2));
    connect();

    assertThat(untilReady())
        .containsExactly(
            "snapshot ahead.db 3 100",
            "snapshot differed.db 3 100",
            "snapshot differs.db 3 100",
            "snapshot reaped.db 5 100");
  }

  @Test
  void databaseThatThePrimaryLacksIsDropped() throws Exception {
    source.commits("a.db", 1);
    sink.positions.put("gone.db", FakeSource.pos("gone.db", 3));
    connect();

    assertThat(untilReady()).containsExactly("snapshot a.db 1 100", "drop gone.db");
  }

  @Test
  void commitsArriveAsTheyHappenInNewDatabasesToo() throws Exception {
    source.commits("a.db", 1);
    connect();
    untilReady();

    source.commit("a.db", 500);
    assertThat(sink.next()).isEqualTo("ltx a.db 2 500");
    source.commit("new.db", 500);
    assertThat(sink.next()).isEqualTo("snapshot new.db 1 100");
    source.commit("new.db", 40);
    assertThat(sink.next()).isEqualTo("ltx new.db 2 40");
  }

  @Test
  void databaseThatGoesWhileStreamingIsDroppedOnceAndMayComeBack() throws Exception {
    source.commits("a.db", 1).commits("b.db", 1);
    connect();
    untilReady();

    source.drop("a.db");
    assertThat(sink.next()).isEqualTo("drop a.db");
    source.commit("b.db", 100);
    assertThat(sink.next()).isEqualTo("ltx b.db 2 100");
    source.commit("a.db", 100);
    assertThat(sink.next()).isEqualTo("snapshot a.db 3 100");
    source.remove("b.db");
    assertThat(sink.next()).isEqualTo("drop b.db");
  }

  @Test
  void filterLimitsWhatIsSent() throws Exception {
    source.commits("a.db", 1).commits("b.db", 1).commits("c d&e.db", 1);
    sink.positions.put("other.db", FakeSource.pos("other.db", 1));
    connect("a.db", "c d&e.db");

    assertThat(untilReady()).containsExactly("snapshot a.db 1 100", "snapshot c d&e.db 1 100");
    source.commit("b.db", 100);
    source.commit("a.db", 100);
    assertThat(sink.next()).isEqualTo("ltx a.db 2 100");
  }

  @Test
  void largeFilesArriveWhole() throws Exception {
    source.commits("a.db", 1);
    source.snapshotSize("a.db", 30_000_000);
    connect();
    assertThat(untilReady()).containsExactly("snapshot a.db 1 30000000");

    source.commit("a.db", 20_000_000);
    assertThat(sink.next()).isEqualTo("ltx a.db 2 20000000");
  }

  @Test
  void databasesTakeTurns() throws Exception {
    for (int i = 0; i < 8; i++) {
      source.commit("a.db", 600_000);
      source.commit("b.db", 600_000);
    }
    sink.positions.put("a.db", FakeSource.pos("a.db", 1));
    sink.positions.put("b.db", FakeSource.pos("b.db", 1));
    connect();

    List<String> files = untilReady();
    assertThat(files).hasSize(14);
    assertThat(files.indexOf("ltx b.db 2 600000")).isLessThan(files.indexOf("ltx a.db 8 600000"));
  }

  @Test
  void heartbeatsTellThePrimarysTime() throws Exception {
    connect();
    untilReady();

    Instant first = sink.nextHeartbeat();
    Instant second = sink.nextHeartbeat();
    Instant third = sink.nextHeartbeat();
    assertThat(first).isCloseTo(Instant.now(), within(5, ChronoUnit.SECONDS));
    assertThat(Duration.between(second, third))
        .isBetween(Duration.ofMillis(30), FAST.multipliedBy(250));
  }

  @Test
  void heartbeatsWhileASnapshotIsPreparedDoNotHideTheLag() throws Exception {
    connect();
    untilReady();
    source.snapshotGate = new CountDownLatch(1);
    source.commit("a.db", 100);
    Instant committed = Instant.now();

    for (int i = 0; i < 5; i++) {
      Instant time = sink.nextHeartbeat();
      assertThat(time).isBeforeOrEqualTo(committed);
    }
    source.snapshotGate.countDown();
    assertThat(sink.next()).isEqualTo("snapshot a.db 1 100");
    Instant time = sink.nextHeartbeat();
    while (time.isBefore(committed)) {
      time = sink.nextHeartbeat();
    }
  }

  @Test
  void databaseThatCannotBeHadDoesNotKeepTheOthersBackAndComesOnceItIsMended() throws Exception {
    source.commits("a.db", 1).commits("b.db", 3).commits("c.db", 1);
    source.withheld.add("b.db");
    connect();
    assertThat(untilReady()).containsExactly("snapshot a.db 1 100", "snapshot c.db 1 100");
    assertThat(sink.nextHeartbeat()).isCloseTo(Instant.now(), within(5, ChronoUnit.SECONDS));

    // What happens to the others is no reason to read it again.
    source.commit("a.db", 100);
    assertThat(sink.next()).isEqualTo("ltx a.db 2 100");
    assertThat(source.snapshots.get()).isEqualTo(3);

    source.withheld.clear();
    source.commit("b.db", 100);
    assertThat(sink.next()).isEqualTo("snapshot b.db 4 100");
    source.commit("b.db", 100);
    assertThat(sink.next()).isEqualTo("ltx b.db 5 100");
    assertThat(source.snapshots.get()).isEqualTo(4);
  }

  @Test
  void replicaThatKeepsAnOlderDatabaseHearsNoReadyBeforeItIsMended() throws Exception {
    source.commits("a.db", 1).commits("b.db", 3);
    source.withheld.add("b.db");
    sink.positions.put("b.db", otherHistory("b.db", 5));
    connect();
    assertThat(sink.next()).isEqualTo("snapshot a.db 1 100");
    // It hears that the primary is there, and not that it has everything.
    for (int i = 0; i < 3; i++) {
      assertThat(sink.nextHeartbeat()).isEqualTo(Instant.EPOCH);
    }
    assertThat(sink.events).isEmpty();

    source.withheld.clear();
    source.commit("b.db", 100);
    assertThat(untilReady()).containsExactly("snapshot b.db 4 100");
  }

  @Test
  void heartbeatsDoNotHideThatADatabaseIsWithheldFromAReplicaThatWasInSync() throws Exception {
    source.commits("b.db", 3);
    connect();
    untilReady();
    source.withheld.add("b.db");
    source.commitWithoutFile("b.db");
    Instant committed = Instant.now();
    await(() -> source.snapshots.get() == 2);

    for (int i = 0; i < 5; i++) {
      assertThat(sink.nextHeartbeat()).isBeforeOrEqualTo(committed);
    }
  }

  @Test
  void handoffToAReplicaThatLacksADatabaseIsRefusedWithTheReason() throws Exception {
    source.commits("b.db", 3);
    source.withheld.add("b.db");
    connect();
    untilReady();

    assertThatThrownBy(() -> handler.handoff(REPLICA, "lease-1"))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "node 00000000000000BB does not have b.db as it is here: b.db is damaged; mend it");
    assertThat(handler.acknowledgements().inSync("b.db")).isZero();
  }

  @Test
  void nodeThatIsAboutToLeadIsSentTheOthers() throws Exception {
    source.commits("a.db", 1).commits("b.db", 3).commits("c.db", 1);
    source.withheld.add("b.db");
    server.start();
    client = client().forTheTail();
    client.runOnce();

    assertThat(List.copyOf(sink.events))
        .containsExactly(
            "connected aa LFSC00000000000000CC",
            "snapshot a.db 1 100",
            "snapshot c.db 1 100",
            "disconnected");
  }

  @Test
  void demotionEndsTheStreamInAnOrderlyWay() throws Exception {
    source.commits("a.db", 1);
    connect();
    untilReady();

    source.demote();
    assertThat(sink.next()).isEqualTo("disconnected");
    await(
        () -> client.problem().equals(Optional.of("it answers 503 this node is not the primary")));
    source.primary = true;
    assertThat(sink.next()).startsWith("connected");
    assertThat(untilReady()).isEmpty();
    assertThat(client.problem()).isEmpty();
  }

  /** The lease names a node a moment before it leads. */
  @Test
  void aNodeThatIsNotYetThePrimaryIsAskedAgainSoon() throws Exception {
    source.primary = false;
    server.start();
    client = new StreamClient(server.uri(), REPLICA, Set.of(), sink, Duration.ofMinutes(10));
    client.start();
    await(() -> source.refusals.get() > 0);
    source.primary = true;
    assertThat(sink.next()).startsWith("connected");
    assertThat(untilReady()).isEmpty();
  }

  @Test
  void closedHandlerEndsItsStreams() throws Exception {
    connect();
    untilReady();

    handler.close();
    assertThat(sink.next()).isEqualTo("disconnected");
    assertThat(source.isListenedTo()).isFalse();
    assertThat(handler.replicas()).isEmpty();
  }

  @Test
  void orderlyCloseLeavesNoCommitBehind() throws Exception {
    connect();
    untilReady();
    for (int i = 0; i < 50; i++) {
      source.commit("a.db", 10_000);
    }

    handler.close();
    sink.await("disconnected");
    assertThat(sink.positions).containsEntry("a.db", FakeSource.pos("a.db", 50));
  }

  @Test
  void failureOfTheSourceBreaksTheStreamOff() throws Exception {
    source.commits("a.db", 1);
    source.failure = new IOException("disk is broken");
    connect();

    assertThat(sink.next()).startsWith("disconnected: 127.0.0.1:");
    source.failure = null;
    sink.await("snapshot a.db 1 100");
  }

  @Test
  void replicasAndFramesAreCounted() throws Exception {
    source.commits("a.db", 2);
    sink.positions.put("gone.db", FakeSource.pos("gone.db", 3));
    connect();
    untilReady();
    source.commit("a.db", 500);
    sink.await("ltx a.db 3 500");

    assertThat(handler.replicas())
        .singleElement()
        .satisfies(
            replica -> {
              assertThat(replica.nodeId()).isEqualTo(REPLICA);
              assertThat(replica.address()).startsWith("127.0.0.1:");
              assertThat(replica.since()).isCloseTo(Instant.now(), within(30, ChronoUnit.SECONDS));
              assertThat(replica.ready()).isTrue();
              assertThat(replica.bytesSent()).isEqualTo(600);
            });
    await(
        () ->
            handler
                .replicas()
                .get(0)
                .positions()
                .equals(Map.of("a.db", FakeSource.pos("a.db", 3))));
    assertThat(handler.framesSent())
        .containsEntry(new FrameKind("a.db", "ltx"), 1L)
        .containsEntry(new FrameKind("a.db", "ltx:snapshot"), 1L)
        .containsEntry(new FrameKind("gone.db", "drop"), 1L)
        .containsEntry(new FrameKind("", "ready"), 1L)
        .containsKey(new FrameKind("", "heartbeat"));
    client.close();
    await(() -> handler.replicas().isEmpty());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void replicasSayWhetherTheyMayLead(boolean candidate) throws Exception {
    server.start();
    client = client().asCandidate(candidate);
    client.start();
    untilReady();

    assertThat(handler.replicas())
        .singleElement()
        .satisfies(replica -> assertThat(replica.candidate()).contains(candidate));
  }

  @Test
  void streamThatTheReplicaGivesUpIsOverOnThePrimaryToo() throws Exception {
    source.commits("a.db", 1);
    sink.failure = new IOException("disk is full");
    server.start();
    client = new StreamClient(server.uri(), REPLICA, Set.of(), sink, Duration.ofMinutes(1));
    client.start();

    sink.await("disconnected: disk is full");
    await(() -> handler.replicas().isEmpty());
    await(() -> client.problem().equals(Optional.of("disk is full")));
  }

  @Test
  void handoffComesAfterEverythingElseAndEndsTheStream() throws Exception {
    connect();
    untilReady();
    source.commit("a.db", 100);
    handler.handoff(REPLICA, "lease-1");

    assertThat(sink.next()).isEqualTo("snapshot a.db 1 100");
    assertThat(sink.next()).isEqualTo("handoff lease-1");
    assertThat(sink.next()).isEqualTo("disconnected");
  }

  @Test
  void handoffNeedsAConnectedReplica() {
    assertThatThrownBy(() -> handler.handoff(REPLICA, "lease-1"))
        .isInstanceOf(IOException.class)
        .hasMessage("node 00000000000000BB is not connected");
  }

  @Test
  void handoffThatTimedOutIsNeverSent() throws Exception {
    connect();
    untilReady();
    source.snapshotGate = new CountDownLatch(1);
    source.commit("a.db", 100);

    assertThatThrownBy(() -> handler.handoff(REPLICA, "lease-1"))
        .isInstanceOf(IOException.class)
        .hasMessage("node 00000000000000BB has not caught up: the lease stays here");
    source.snapshotGate.countDown();
    assertThat(sink.next()).isEqualTo("snapshot a.db 1 100");
    source.commit("a.db", 100);
    assertThat(sink.next()).isEqualTo("ltx a.db 2 100");
  }

  @Test
  void replicaThatDoesNotReadCostsBoundedMemoryAndDelaysNoCommit() throws Exception {
    sink.gate = new CountDownLatch(1);
    source.commits("a.db", 1);
    source.snapshotSize("a.db", 100_000_000);
    connect();
    sink.receiving.await();
    // The window is full: nothing more can leave until the sink reads.
    await(() -> source.taken.get() > CLIENT.window());

    long slowest = 0;
    for (int i = 0; i < 20_000; i++) {
      long start = System.nanoTime();
      source.commit("a.db", 1000);
      slowest = Math.max(slowest, System.nanoTime() - start);
    }

    assertThat(Duration.ofNanos(slowest)).isLessThan(Duration.ofSeconds(1));
    assertThat(source.taken.get())
        .isLessThan(CLIENT.window() + BodyOutput.IN_FLIGHT + 3 * BodyOutput.BUFFER);
    assertThat(handler.replicas()).hasSize(1);
    sink.gate.countDown();
    sink.await("ltx a.db 20001 1000");
  }

  @Test
  void replicaThatDoesNotReadIsCutOffAfterADemotion() throws Exception {
    sink.gate = new CountDownLatch(1);
    source.commits("a.db", 1);
    source.snapshotSize("a.db", 100_000_000);
    connect();
    sink.receiving.await();
    await(() -> source.taken.get() > CLIENT.window());

    source.demote();
    await(() -> handler.replicas().isEmpty());
    sink.gate.countDown();
    assertThat(sink.next()).startsWith("disconnected: ");
    assertThat(sink.positions).isEmpty();
  }

  @Test
  void slowReplicaDoesNotHoldUpAnother() throws Exception {
    sink.gate = new CountDownLatch(1);
    source.commits("a.db", 1);
    source.snapshotSize("a.db", 10_000_000);
    connect();
    sink.receiving.await();
    FakeSink quick = new FakeSink();
    try (StreamClient second = new StreamClient(server.uri(), 0xcc, Set.of(), quick, CLIENT)) {
      second.start();
      quick.await("snapshot a.db 1 10000000");
      source.commit("a.db", 100);
      quick.await("ltx a.db 2 100");
    }
  }

  @Test
  void clientClosesPromptlyWhateverItWaitsFor() throws Exception {
    connect();
    untilReady();
    long start = System.nanoTime();
    client.close();
    assertThat(sink.next()).isEqualTo("disconnected: closed by this node");

    server.stop();
    StreamClient.Options patient = StreamClient.Options.withReconnectDelay(Duration.ofMinutes(10));
    StreamClient waiting = new StreamClient(server.uri(), 1, Set.of(), sink, patient);
    waiting.start();
    await(() -> waiting.problem().isPresent());
    waiting.close();
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(5));
    assertThat(waiting.problem()).hasValueSatisfying(p -> assertThat(p).contains("cannot connect"));
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  /** Waits for what has no event of its own. */
  private static void await(Condition condition) throws Exception {
    CompletableFuture<Void> done =
        CompletableFuture.runAsync(
            () -> {
              try {
                while (!condition.holds()) {
                  Thread.yield();
                }
              } catch (Exception e) {
                throw new AssertionError(e);
              }
            });
    try {
      done.get(10, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw new AssertionError(e.getCause());
    }
  }
}

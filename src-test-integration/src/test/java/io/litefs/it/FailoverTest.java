package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Primaries that vanish, stop and lose Consul, and what becomes of acknowledged writes. */
@Tag("alone")
class FailoverTest {

  private static final int HANDOFFS = 20;

  private static ElectedCluster cluster;
  private static int count;

  private String db;

  @BeforeAll
  static void start() {
    cluster = ElectedCluster.started(3);
  }

  @AfterAll
  static void stop() {
    if (cluster != null) {
      cluster.close();
    }
  }

  @BeforeEach
  void createDatabase() {
    db = "log-" + count++ + ".db";
    Node primary = cluster.awaitPrimary();
    try (Session session = Driver.PYTHON.open(primary.db(db))) {
      session.runAll("PRAGMA journal_mode=WAL", "CREATE TABLE log (x)");
      cluster.others(primary).forEach(node -> node.awaitPos(db, primary.pos(db)));
      // A replica keeps writers out from the first transaction on that it applies through the WAL.
      session.run("INSERT INTO log VALUES (0)");
    }
    cluster.others(primary).forEach(node -> node.awaitPos(db, primary.pos(db)));
  }

  private List<Node> nodes() {
    return List.of(cluster.node(0), cluster.node(1), cluster.node(2));
  }

  private TreeSet<Integer> values(Node node) {
    TreeSet<Integer> values = new TreeSet<>();
    try (Session session = Driver.PYTHON.open(node.db(db))) {
      session.run("SELECT DISTINCT x FROM log").forEach(x -> values.add(Integer.valueOf(x)));
    }
    return values;
  }

  private TreeSet<Integer> missing(RoamingWriter writer, Node node) {
    TreeSet<Integer> acknowledged = new TreeSet<>();
    writer.acks().forEach(ack -> acknowledged.add(ack.value()));
    acknowledged.removeAll(values(node));
    return acknowledged;
  }

  @Test
  void twentyHandoffsUnderLoadLoseNothingAndHoldWritersOnlyForAMoment() {
    List<Long> pauses = new ArrayList<>();
    try (RoamingWriter writer = new RoamingWriter(nodes(), db)) {
      for (int i = 0; i < HANDOFFS; i++) {
        writer.awaitMore(20);
        long from = System.nanoTime();
        cluster.promote(cluster.others(cluster.awaitPrimary()).get(i % 2));
        writer.awaitMore(5);
        pauses.add(writer.longestPauseMillis(from, System.nanoTime()));
      }
      writer.stop();
      assertThat(writer.failures()).isEmpty();
      Node primary = cluster.awaitPrimary();
      assertThat(missing(writer, primary)).as("acknowledged and lost").isEmpty();
    }
    cluster.assertIdentical(db);
    System.out.println("longest pauses of a writer in handoffs, ms: " + pauses);
    assertThat(pauses).as("ms").allMatch(millis -> millis < ElectedCluster.TTL.toMillis() / 2);
  }

  @Test
  void aKilledPrimaryIsReplacedInTimeAndWhatItAloneHadIsArchived() {
    Node killed = cluster.awaitPrimary();
    try (RoamingWriter writer = new RoamingWriter(cluster.others(killed), db);
        RoamingWriter onKilled = new RoamingWriter(List.of(killed), db)) {
      onKilled.awaitMore(100);
      long start = System.nanoTime();
      killed.kill();
      writer.awaitMore(1);
      Duration took = Duration.ofNanos(System.nanoTime() - start);
      System.err.println("failover took " + took.toMillis() + " ms");
      assertThat(took).isLessThan(ElectedCluster.FAILOVER);
      writer.stop();
      assertThat(writer.failures()).isEmpty();
      assertThat(missing(writer, cluster.awaitPrimary())).isEmpty();

      Mounts.unmountIfMounted(killed.mount());
      killed.start();
      cluster.awaitFollowers();
      cluster.assertIdentical(db);
      TreeSet<Integer> lost = missing(onKilled, killed);
      if (!lost.isEmpty()) {
        assertThat(killed.log()).as("%s are gone from the cluster", lost).contains("is kept in");
      }
    }
  }

  private static ElectedCluster synchronous() {
    return ElectedCluster.started(
        3,
        config ->
            config
                .set("lease", "sync-replicas", "1")
                .set("lease", "sync-timeout", "5s")
                .set("lease", "on-timeout", "fail"));
  }

  private void createDatabase(ElectedCluster synchronous) {
    Node creator = synchronous.awaitPrimary();
    try (Session session = Driver.PYTHON.open(creator.db(db))) {
      session.runAll("PRAGMA journal_mode=WAL", "CREATE TABLE log (x)", "CREATE TABLE other (x)");
      synchronous.others(creator).forEach(node -> node.awaitPos(db, creator.pos(db)));
    }
  }

  @Test
  void whatAReplicaHadToHaveSurvivesThePrimary() {
    try (ElectedCluster synchronous = synchronous()) {
      createDatabase(synchronous);
      List<RoamingWriter.Ack> acks = new ArrayList<>();
      for (int kill = 0; kill < 3; kill++) {
        Node killed = synchronous.awaitPrimary();
        try (RoamingWriter writer = new RoamingWriter(List.of(killed), db, 1 + kill * 1_000_000)) {
          writer.awaitMore(100);
          killed.kill();
          acks.addAll(writer.acks());
        }
        Mounts.unmountIfMounted(killed.mount());
        Node next = synchronous.awaitPrimary();
        assertThat(next).isNotSameAs(killed);
        TreeSet<Integer> lost = new TreeSet<>();
        acks.forEach(ack -> lost.add(ack.value()));
        lost.removeAll(values(next));
        assertThat(lost).as("acknowledged and lost; logs:\n%s", synchronous.logs()).isEmpty();
        killed.start();
        synchronous.awaitFollowers();
      }
      synchronous.awaitIdentical(db);
    }
  }

  /** Its transaction is in its log, perhaps on a replica, and not in its WAL. */
  @Test
  void aCommitThatWaitsForReplicasWhileTheLeaseEndsFailsAndLeavesAllNodesAlike() {
    try (ElectedCluster synchronous = synchronous()) {
      createDatabase(synchronous);
      Node primary = synchronous.awaitPrimary();
      Position before = primary.pos(db);
      List<Node> others = synchronous.others(primary);
      try (Session session = Driver.PYTHON.open(primary.db(db))) {
        session.run("PRAGMA busy_timeout=0");
        others.forEach(node -> node.signal("STOP"));
        CompletableFuture<Void> insert =
            CompletableFuture.runAsync(() -> session.run("INSERT INTO other VALUES (1)"));
        String file = "%016x-".formatted(before.txid() + 1);
        Await.until(
            "it waits", () -> primary.ltxFiles(db).stream().anyMatch(f -> f.startsWith(file)));
        // The others do not answer, so this node leads again, as the one that has most.
        synchronous.takeLeaseAway(primary);
        others.forEach(node -> node.signal("CONT"));
        assertThatThrownBy(() -> insert.get(60, TimeUnit.SECONDS))
            .as("its commit; logs:\n%s", synchronous.logs())
            .hasCauseInstanceOf(SqliteError.class);
      }
      synchronous.awaitFollowers();
      Node next = synchronous.awaitPrimary();
      try (Session session = Driver.PYTHON.open(next.db(db))) {
        session.run("INSERT INTO log VALUES (1)"); // into another page
      }
      synchronous.awaitIdentical(db);
    }
  }

  @Test
  void aPausedPrimaryAcknowledgesNothingAfterAnotherLeads() {
    Node paused = cluster.awaitPrimary();
    try (RoamingWriter onPaused = new RoamingWriter(List.of(paused), db);
        RoamingWriter writer = new RoamingWriter(cluster.others(paused), db)) {
      onPaused.awaitMore(20);
      paused.signal("STOP");
      writer.awaitMore(5);
      int acknowledged = onPaused.acks().size();
      paused.signal("CONT");
      Await.until("it notices", () -> paused.log().contains("primary -> demoted"));
      cluster.awaitFollowers();
      // One may have been in the log before the stop, whose answer had not left the daemon.
      assertThat(onPaused.acks().size() - acknowledged).isLessThanOrEqualTo(1);
      writer.awaitMore(5);
      writer.stop();
      onPaused.stop();
      assertThat(missing(writer, cluster.awaitPrimary())).isEmpty();
      cluster.assertIdentical(db);
      TreeSet<Integer> lost = missing(onPaused, cluster.awaitPrimary());
      if (!lost.isEmpty()) {
        assertThat(paused.log()).as("%s are gone from the cluster", lost).contains("is kept in");
      }
    }
  }

  @Test
  void aPrimaryThatCannotRenewStopsInTimeAndLeadsAgainWhenConsulIsBack() {
    Node primary = cluster.awaitPrimary();
    try (RoamingWriter writer = new RoamingWriter(nodes(), db)) {
      writer.awaitMore(20);
      long start = System.nanoTime();
      cluster.consul().pause();
      try {
        Await.until("it stops", () -> primary.log().contains("primary -> demoted"));
        List<RoamingWriter.Ack> acks = writer.acks();
        long last = acks.get(acks.size() - 1).nanos();
        assertThat(Duration.ofNanos(last - start)).isLessThan(ElectedCluster.TTL.plusMillis(100));
        assertThat(primary.log()).contains("not renewed for");
      } finally {
        cluster.consul().resume();
      }
      writer.awaitMore(20);
      writer.stop();
      cluster.awaitFollowers();
      assertThat(missing(writer, cluster.awaitPrimary())).isEmpty();
    }
    cluster.assertIdentical(db);
  }

  @Test
  void theNodeThatIsFurthestLeads() {
    Node primary = cluster.awaitPrimary();
    List<Node> others = cluster.others(primary);
    Node behind = others.get(0);
    Node further = others.get(1);
    behind.kill();
    Mounts.unmountIfMounted(behind.mount());
    try (Session session = Driver.PYTHON.open(primary.db(db))) {
      session.run("INSERT INTO log VALUES (0)");
      for (int i = 0; i < 1000; i++) {
        session.run("INSERT INTO log VALUES (" + i + ")");
      }
    }
    further.awaitPos(db, primary.pos(db));
    primary.kill();
    Mounts.unmountIfMounted(primary.mount());
    behind.start();
    Await.until(
        Await.LONG,
        () -> "it leads; logs:\n" + cluster.logs(),
        () -> ElectedCluster.isPrimary(further));
    cluster.awaitFollows(behind, further);
    primary.start();
    cluster.awaitFollowers();
    cluster.assertIdentical(db);
  }
}

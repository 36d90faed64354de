package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Nodes that stop and start again: what they resume from, what they send, and that nothing is lost.
 */
class RestartTest {

  private static final List<String> DATABASES = List.of("DELETE", "WAL");

  private static void each(Node primary, String... statements) {
    for (String mode : DATABASES) {
      try (Session session = Driver.SHELL.open(primary.db(mode))) {
        session.run("PRAGMA journal_mode = " + mode);
        session.runAll(statements);
      }
    }
  }

  private static double ltxFramesSent(Node primary, String db) {
    return primary.metrics().by("litefs_http_frame_send_count", "db").getOrDefault(db, 0L);
  }

  /** Whether the node's log has a snapshot of a position beyond {@code txid}. */
  private static boolean holdsSnapshotBeyond(long txid, Node node, String db) {
    return node.ltxFiles(db).stream()
        .anyMatch(
            file ->
                file.startsWith("0000000000000001-")
                    && Long.parseLong(file.substring(17, 33), 16) > txid);
  }

  @Test
  void aReplicaThatWasAwayForAShortTimeIsSentOnlyWhatItMissed() {
    try (Cluster cluster = Cluster.start(2)) {
      each(cluster.primary(), Sql.CREATE, Sql.insert(100, 500));
      long[] known =
          DATABASES.stream().mapToLong(db -> cluster.assertIdentical(db).txid()).toArray();
      assertThat(cluster.replica().stop()).isZero();
      each(
          cluster.primary(),
          "INSERT INTO t(a) VALUES (1)",
          "INSERT INTO t(a) VALUES (2)",
          "UPDATE t SET a = 3");
      double[] sent =
          DATABASES.stream().mapToDouble(db -> ltxFramesSent(cluster.primary(), db)).toArray();

      cluster.replica().start();
      DATABASES.forEach(cluster::assertIdentical);
      for (int i = 0; i < sent.length; i++) {
        String db = DATABASES.get(i);
        assertThat(ltxFramesSent(cluster.primary(), db) - sent[i]).as(db).isEqualTo(3);
      }
      cluster.replica().stop();
      for (int i = 0; i < known.length; i++) {
        String db = DATABASES.get(i);
        assertThat(holdsSnapshotBeyond(known[i], cluster.replica(), db))
            .as(cluster.replica().ltxFiles(db).toString())
            .isFalse();
      }
    }
  }

  @Test
  void aReplicaThatWasAwayLongerThanRetentionIsSentASnapshot() {
    try (Cluster cluster =
        Cluster.start(
            2,
            config ->
                config
                    .set("data", "retention", "200ms")
                    .set("data", "retention-monitor-interval", "100ms"))) {
      each(cluster.primary(), Sql.CREATE, Sql.insert(100, 500));
      DATABASES.forEach(cluster::assertIdentical);
      cluster.replica().stop();
      for (int i = 0; i < 10; i++) {
        each(cluster.primary(), "INSERT INTO t(a) VALUES (" + i + ")");
      }
      for (String db : DATABASES) {
        Await.until(
            "retention removes files of " + db,
            () -> cluster.primary().metrics().get("litefs_db_ltx_count", "db", db) <= 1);
      }
      each(cluster.primary(), "INSERT INTO t(a) VALUES (10)");

      cluster.replica().start();
      DATABASES.forEach(cluster::assertIdentical);
      for (String db : DATABASES) {
        assertThat(cluster.primary().metrics().get("litefs_db_ltx_reap_count", "db", db))
            .isPositive();
      }
      // And it follows on from the snapshot.
      each(cluster.primary(), "DELETE FROM t WHERE a > 5");
      DATABASES.forEach(cluster::assertIdentical);
    }
  }

  @Test
  void aReplicaReadsItsDataBeforeThePrimaryIsThere() {
    try (Cluster cluster = Cluster.start(2)) {
      each(cluster.primary(), Sql.CREATE, Sql.insert(100, 500));
      DATABASES.forEach(cluster::assertIdentical);
      cluster.replica().stop();
      cluster.primary().stop();
      cluster.replica().start();
      for (String db : DATABASES) {
        assertThat(
                Commands.run(
                        "sqlite3", cluster.replica().db(db).toString(), "SELECT count(*) FROM t")
                    .orThrow()
                    .output())
            .isEqualTo("100\n");
      }
      cluster.primary().start();
      each(cluster.primary(), "DELETE FROM t WHERE a < 10");
      DATABASES.forEach(cluster::assertIdentical);
    }
  }

  @Test
  void aPrimaryThatStartsAgainGoesOnCountingAndItsReplicasReconnect() {
    try (Cluster cluster = Cluster.start(3)) {
      each(cluster.primary(), Sql.CREATE, Sql.insert(100, 500));
      for (int i = 0; i < 3; i++) {
        Position before = cluster.primary().pos("WAL");
        assertThat(cluster.primary().stop()).isZero();
        cluster.primary().start();
        assertThat(cluster.primary().pos("WAL")).isEqualTo(before);
        each(cluster.primary(), "INSERT INTO t(a, b) VALUES (1, randomblob(10000))");
        DATABASES.forEach(cluster::assertIdentical);
      }
    }
  }

  /** It waits through the mount, which goes first. */
  @Test
  void aReplicaThatWaitsForAReaderStopsWithoutAComplaint() {
    try (Cluster cluster = Cluster.start(2)) {
      Node replica = cluster.replica();
      each(cluster.primary(), Sql.CREATE, Sql.insert(10, 100));
      DATABASES.forEach(cluster::assertIdentical);
      try (Session reader = Driver.JDBC.open(replica.db("DELETE"))) {
        reader.runAll("BEGIN", "SELECT count(*) FROM t");
        each(cluster.primary(), "INSERT INTO t(a) VALUES (1)");
        Await.until(
            "the replica has the transaction in its log",
            () -> replica.ltxFiles("DELETE").equals(cluster.primary().ltxFiles("DELETE")));
        assertThat(replica.stop()).isZero();
        assertThat(replica.log()).doesNotContain("ERROR").doesNotContain("cannot");
      }
      replica.start();
      DATABASES.forEach(cluster::assertIdentical);
    }
  }

  @Test
  void anApplicationThatKeepsItsDatabaseOpenSeesTheReplicaGoOnAfterThePrimarysRestart() {
    try (Cluster cluster = Cluster.start(2)) {
      each(cluster.primary(), Sql.CREATE, Sql.insert(10, 100));
      cluster.sync("WAL");
      try (Session reader = Driver.JDBC.open(cluster.replica().db("WAL"))) {
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("10");
        cluster.primary().stop();
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("10");
        cluster.primary().start();
        each(cluster.primary(), "INSERT INTO t(a) VALUES (1)");
        cluster.sync("WAL");
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("11");
      }
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void theLogOfACleanStopIsPlainFilesInOneUnbrokenSequence(JournalMode mode) {
    try (Cluster cluster = Cluster.start(2)) {
      Position last;
      try (Session session = Driver.SHELL.open(cluster.primary().db("log"))) {
        session.runAll(mode.pragma(), Sql.CREATE);
        for (int i = 0; i < 30; i++) {
          session.run("INSERT INTO t(a, b) VALUES (" + i + ", randomblob(3000))");
        }
        last = cluster.sync("log");
      }
      last = cluster.sync("log");
      for (Node node : cluster.nodes()) {
        node.stop();
        List<String> files = node.ltxFiles("log");
        // A replica may have begun with a snapshot.
        assertThat(files)
            .as(files.toString())
            .hasSizeGreaterThan(node == cluster.primary() ? 29 : 0);
        long next = 1;
        for (String file : files) {
          assertThat(Long.parseLong(file.substring(0, 16), 16))
              .as(files.toString())
              .isEqualTo(next);
          next = Long.parseLong(file.substring(17, 33), 16) + 1;
        }
        assertThat(next).isEqualTo(last.txid() + 1);
      }
    }
  }

  @Test
  void aDroppedDatabaseStaysDroppedAndGoesOnCountingAfterARestart() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      each(cluster.primary(), Sql.CREATE);
      DATABASES.forEach(cluster::assertIdentical);
      Position last = cluster.primary().pos("WAL");
      java.nio.file.Files.delete(cluster.primary().db("WAL"));
      cluster.assertDropped("WAL");
      for (Node node : cluster.nodes()) {
        node.stop();
        node.start();
      }
      assertThat(cluster.primary().db("WAL")).doesNotExist();
      each(cluster.primary(), "CREATE TABLE u(v)");
      assertThat(cluster.primary().pos("WAL").txid()).isGreaterThan(last.txid() + 1);
      DATABASES.forEach(cluster::assertIdentical);
    }
  }

  @Test
  void aDatabaseThatWasDroppedWhileTheReplicaWasAwayIsDroppedThereToo() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      each(cluster.primary(), Sql.CREATE, Sql.insert(10, 100));
      DATABASES.forEach(cluster::assertIdentical);
      cluster.replica().stop();
      for (String db : DATABASES) {
        java.nio.file.Files.delete(cluster.primary().db(db));
      }
      cluster.replica().start();
      DATABASES.forEach(cluster::assertDropped);
    }
  }
}

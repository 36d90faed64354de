package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** {@code lease.sync-replicas}, and waiting for positions. */
class SynchronousCommitTest {

  private static Cluster cluster(String onTimeout) {
    return Cluster.start(
        2,
        config ->
            config
                .set("lease", "sync-replicas", "1")
                .set("lease", "sync-timeout", "2s")
                .set("lease", "on-timeout", onTimeout));
  }

  private static long millis(Runnable work) {
    long begin = System.nanoTime();
    work.run();
    return (System.nanoTime() - begin) / 1_000_000;
  }

  /** Waits until the primary counts its replica. */
  private static void awaitInSync(Cluster cluster) {
    Await.until(
        "the replica is in sync", () -> cluster.replica().log().contains("in sync with primary"));
  }

  private static double missing(Node node, String db) {
    return node.metrics().get("litefs_db_sync_replicas_missing", "db", db);
  }

  /** A database whose first transaction fails does not exist afterwards, anywhere. */
  private static void failToCreate(Cluster cluster, String db, JournalMode mode) {
    try (Session session = Driver.SHELL.open(cluster.primary().db(db))) {
      assertThatThrownBy(() -> session.runAll(mode.pragma(), Sql.CREATE))
          .hasMessageContaining("disk I/O error");
      assertThat(session.value("SELECT count(*) FROM sqlite_schema")).isEqualTo("0");
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = JournalMode.class,
      names = {"DELETE", "WAL"})
  void aCommitThatFailsIsTakenBackEverywhere(JournalMode mode) {
    try (Cluster cluster = cluster("fail")) {
      awaitInSync(cluster);
      Node primary = cluster.primary();
      try (Session session = Driver.SHELL.open(primary.db("f"))) {
        session.runAll(
            mode.pragma(), Sql.CREATE, Sql.insert(100, 300), "DELETE FROM t WHERE id>90");
        Position before = cluster.sync("f");
        cluster.replica().signal("STOP");
        try {
          for (String statement :
              new String[] {
                Sql.insert(50, 300), mode == JournalMode.WAL ? "VACUUM" : "UPDATE t SET a = -1"
              }) {
            assertThatThrownBy(() -> session.run(statement))
                .as(statement)
                .isInstanceOf(SqliteError.class)
                .hasMessageContaining("disk I/O error");
            // Whoever looks next finds the database as it was.
            assertThat(session.value("SELECT count(*), min(a) >= 0 FROM t")).isEqualTo("90|1");
          }
          failToCreate(cluster, "new", mode);
        } finally {
          cluster.replica().signal("CONT");
        }
        Await.until("the replica has caught up", () -> cluster.sync("f").txid() > before.txid());
        session.run("INSERT INTO t(a) VALUES (7)");
        assertThat(session.value("SELECT count(*), min(a) >= 0 FROM t")).isEqualTo("91|1");
      }
      cluster.assertIdentical("f");
      Commands.run("sqlite3", primary.db("new").toString(), mode.pragma() + ";" + Sql.CREATE)
          .orThrow();
      cluster.assertIdentical("new");
      // A start finds the same.
      primary.kill();
      primary.start();
      assertThat(
              Commands.run("sqlite3", primary.db("f").toString(), "SELECT count(*) FROM t")
                  .output())
          .isEqualTo("91\n");
      cluster.assertIdentical("f");
    }
  }

  @Test
  void withoutReplicasACommitFailsWithoutATrace() {
    try (Cluster cluster = cluster("fail")) {
      awaitInSync(cluster);
      Node primary = cluster.primary();
      for (JournalMode mode : new JournalMode[] {JournalMode.DELETE, JournalMode.WAL}) {
        String db = "g-" + mode;
        Commands.run(
                "sqlite3",
                primary.db(db).toString(),
                mode.pragma() + ";" + Sql.CREATE + ";" + Sql.insert(10, 10))
            .orThrow();
        cluster.sync(db);
        assertThat(missing(primary, db)).isZero();
      }
      cluster.replica().stop();
      Await.until("its end is noticed", () -> missing(primary, "g-WAL") == 1);
      assertThat(primary.http().get("/litefs/status.json").body())
          .contains("commits are not synchronous: 1 replica is missing");
      for (JournalMode mode : new JournalMode[] {JournalMode.DELETE, JournalMode.WAL}) {
        String db = "g-" + mode;
        Position before = primary.pos(db);
        try (Session session = Driver.SHELL.open(primary.db(db))) {
          assertThatThrownBy(() -> session.run("INSERT INTO t(a) VALUES (1)"))
              .hasMessageContaining("disk I/O error");
          assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("10");
        }
        assertThat(primary.pos(db)).isEqualTo(before);
      }
      cluster.replica().start();
      awaitInSync(cluster);
      for (JournalMode mode : new JournalMode[] {JournalMode.DELETE, JournalMode.WAL}) {
        String db = "g-" + mode;
        Commands.run("sqlite3", primary.db(db).toString(), "INSERT INTO t(a) VALUES (1)").orThrow();
        cluster.assertIdentical(db);
      }
    }
  }

  /** They are no transactions of SQLite's, which could roll them back. */
  @Test
  void whatNothingCouldTakeBackGoesOnWithoutReplicasWhenItHasWaited() {
    try (Cluster cluster = cluster("fail")) {
      awaitInSync(cluster);
      Node primary = cluster.primary();
      Path other = primary.home().resolve("other.db");
      Commands.run("sqlite3", other.toString(), Sql.CREATE + ";" + Sql.insert(30, 300)).orThrow();
      for (String db : new String[] {"dropped", "imported", "copied", "moved"}) {
        Commands.run("sqlite3", primary.db(db).toString(), Sql.CREATE).orThrow();
        cluster.sync(db);
      }
      cluster.replica().stop();
      String url = "http://127.0.0.1:" + primary.port();
      goesOn(
          "imported",
          primary,
          () ->
              Node.litefs(
                      Duration.ofMinutes(1),
                      "import",
                      "-name",
                      "imported",
                      "-url",
                      url,
                      other.toString())
                  .orThrow());
      goesOn(
          "copied",
          primary,
          () -> Commands.run("cp", other.toString(), primary.db("copied").toString()).orThrow());
      goesOn(
          "moved",
          primary,
          () ->
              Commands.run(
                      "mv", primary.db("moved").toString(), primary.db("moved-away").toString())
                  .orThrow());
      goesOn(
          "dropped", primary, () -> Commands.run("rm", primary.db("dropped").toString()).orThrow());
      primary.kill();
      primary.start();
      assertThat(
              Commands.run("sqlite3", primary.db("copied").toString(), "SELECT count(*) FROM t")
                  .output())
          .isEqualTo("30\n");
      cluster.replica().start();
      for (String db : new String[] {"imported", "copied", "moved-away"}) {
        cluster.assertIdentical(db);
      }
      cluster.assertDropped("dropped");
      cluster.assertDropped("moved");
    }
  }

  private static void goesOn(String db, Node primary, Runnable change) {
    assertThat(millis(change)).as("%s waits", db).isGreaterThanOrEqualTo(1900);
    assertThat(primary.log()).contains(db + ": transaction 0000000000000002 is kept although");
  }

  @Test
  void onTimeoutContinueWaitsOnceAndAgainWhenReplicasHaveCaughtUp() {
    try (Cluster cluster = cluster("continue")) {
      awaitInSync(cluster);
      Node primary = cluster.primary();
      try (Session session = Driver.SHELL.open(primary.db("c"));
          Session other = Driver.SHELL.open(primary.db("d"))) {
        session.runAll("PRAGMA journal_mode = WAL", Sql.CREATE, Sql.insert(10, 10));
        other.runAll("PRAGMA journal_mode = WAL", Sql.CREATE);
        // What has returned is on the replica's disk: its log has it.
        String txid = primary.pos("c").toString().substring(0, 16);
        assertThat(
                primary
                    .http()
                    .get("/litefs/wait?db=c&txid=" + txid + "&replicas=1&timeout=0")
                    .statusCode())
            .isEqualTo(200);
        cluster.replica().signal("STOP");
        try {
          assertThat(millis(() -> session.run("INSERT INTO t(a) VALUES (1)")))
              .isGreaterThanOrEqualTo(1900);
          assertThat(
                  millis(
                      () -> {
                        for (int i = 0; i < 20; i++) {
                          session.run("INSERT INTO t(a) VALUES (2)");
                        }
                      }))
              .isLessThan(20 * 1900);
          assertThat(missing(primary, "c")).isEqualTo(1);
          assertThat(missing(primary, "d")).isZero();
        } finally {
          cluster.replica().signal("CONT");
        }
        cluster.sync("c");
        Await.until(
            "commits wait again",
            () -> {
              session.run("INSERT INTO t(a) VALUES (3)");
              return primary.log().contains("synchronous again");
            });
        assertThat(missing(primary, "c")).isZero();
      }
      cluster.assertIdentical("c");
    }
  }

  @Test
  void waitingForATransaction() {
    try (Cluster cluster = Cluster.start(2)) {
      Node primary = cluster.primary();
      Node replica = cluster.replica();
      Commands.run("sqlite3", primary.db("w").toString(), Sql.CREATE).orThrow();
      Position pos = cluster.sync("w");
      String one = "0000000000000001";
      String two = "0000000000000002";
      assertThat(replica.http().get("/litefs/wait?db=w&txid=" + one).body().strip())
          .isEqualTo(pos.toString());
      assertThat(replica.http().get("/litefs/wait?db=w&txid=" + two + "&timeout=50").statusCode())
          .isEqualTo(504);
      assertThat(replica.http().get("/litefs/wait?db=w&txid=2").statusCode()).isEqualTo(400);
      assertThat(replica.http().get("/litefs/wait?txid=" + one).statusCode()).isEqualTo(400);
      assertThat(replica.http().get("/litefs/wait?db=absent&txid=" + one).statusCode())
          .isEqualTo(404);
      assertThat(replica.http().get("/litefs/wait?db=w&replicas=1&txid=" + one).statusCode())
          .isEqualTo(503);
      assertThat(primary.http().get("/litefs/wait?db=w&replicas=1&txid=" + one).statusCode())
          .isEqualTo(200);
      assertThat(
              primary
                  .http()
                  .get("/litefs/wait?db=w&replicas=2&timeout=50&txid=" + one)
                  .statusCode())
          .isEqualTo(504);
      Thread writer =
          new Thread(
              () ->
                  Commands.run(
                      "sqlite3", primary.db("w").toString(), "INSERT INTO t(a) VALUES (1)"));
      writer.start();
      Commands.Result waited =
          Node.litefs(
              Duration.ofSeconds(30),
              "wait",
              "w",
              two,
              "-replicas",
              "1",
              "-url",
              "http://127.0.0.1:" + primary.port());
      assertThat(waited.exitCode()).as(waited.output()).isZero();
      assertThat(waited.output().strip()).isEqualTo(primary.pos("w").toString());
      assertThat(
              Node.litefs(
                      Duration.ofSeconds(30),
                      "wait",
                      "-timeout",
                      "0.1",
                      "w",
                      "00000000000000ff",
                      "-url",
                      "http://127.0.0.1:" + primary.port())
                  .exitCode())
          .isEqualTo(1);
    }
  }
}

package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The lease changes hands while applications have databases open. */
@Tag("alone")
class HandoffTest {

  private static ElectedCluster cluster;

  @BeforeAll
  static void start() {
    cluster = ElectedCluster.started(2);
  }

  @AfterAll
  static void stop() {
    if (cluster != null) {
      cluster.close();
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void connectionsGoOnAsReadersAndAsWritersWithoutReopening(JournalMode mode) {
    String db = "open-" + mode + ".db";
    Node first = cluster.awaitPrimary();
    Node second = cluster.others(first).get(0);
    try (Session here = Driver.PYTHON.open(first.db(db))) {
      here.runAll("PRAGMA journal_mode=" + mode, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)");
      second.awaitPos(db, first.pos(db));
      try (Session there = Driver.PYTHON.open(second.db(db))) {
        there.run("PRAGMA busy_timeout=100");
        here.run("PRAGMA busy_timeout=100");
        assertThat(there.value("SELECT sum(x) FROM t")).isEqualTo("1");
        refuses(there, mode, false);
        assertThat(there.value("SELECT sum(x) FROM t")).isEqualTo("1");
        for (int round = 0; round < 3; round++) {
          cluster.promote(second);
          assertThat(here.value("SELECT count(*) FROM t"))
              .isEqualTo(Integer.toString(1 + 2 * round));
          refuses(here, mode, true);
          there.run("INSERT INTO t VALUES (1)");
          first.awaitPos(db, second.pos(db));
          assertThat(here.value("SELECT count(*) FROM t"))
              .isEqualTo(Integer.toString(2 + 2 * round));

          cluster.promote(first);
          here.run("INSERT INTO t VALUES (1)");
          second.awaitPos(db, first.pos(db));
          assertThat(there.value("SELECT count(*) FROM t"))
              .isEqualTo(Integer.toString(3 + 2 * round));
          refuses(there, mode, true);
        }
        assertThat(here.value("PRAGMA integrity_check")).isEqualTo("ok");
        assertThat(there.value("PRAGMA integrity_check")).isEqualTo("ok");
      }
    }
    cluster.assertIdentical(db);
  }

  /**
   * A candidate lets applications open the file for writing: who may write is seen at the
   * transaction's first step. That may be a write to a journal that the connection has kept open
   * since it last wrote; of that, SQLite says no more than that it failed.
   */
  private static void refuses(Session session, JournalMode mode, boolean hasWritten) {
    String readOnly = "attempt to write a readonly database";
    assertThatThrownBy(() -> session.run("INSERT INTO t VALUES (100)"))
        .isInstanceOf(SqliteError.class)
        .hasMessageMatching(
            switch (mode) {
              case WAL -> "database is locked";
              case DELETE -> readOnly;
              case TRUNCATE, PERSIST -> hasWritten ? readOnly + "|disk I/O error" : readOnly;
            });
  }

  /** A lock of fcntl cannot be taken away: it stays, and locking again takes the halt lock. */
  @Test
  void theLockFileStaysLockedAndLocksAgainWhateverTheRole() {
    String db = "locked.db";
    Node first = cluster.awaitPrimary();
    Node second = cluster.others(first).get(0);
    Commands.run("sqlite3", first.db(db).toString(), "CREATE TABLE t (x)").orThrow();
    second.awaitPos(db, first.pos(db));
    String insert = "INSERT INTO t VALUES (1)";
    try (LockingProgram holder =
            new LockingProgram(first.db(db), LockingProgram.Owner.DESCRIPTION);
        LockingProgram other = new LockingProgram(first.db(db), LockingProgram.Owner.PROCESS)) {
      assertThat(holder.await()).isEqualTo("ok");
      assertThat(holder.sql(insert)).isEqualTo("ok");
      cluster.promote(second);
      assertThat(other.attempt()).isEqualTo("EAGAIN");
      assertThat(holder.sql(insert)).isNotEqualTo("ok");
      assertThat(holder.await()).isEqualTo("ok");
      assertThat(holder.sql(insert)).isEqualTo("ok");
      assertThat(other.attempt()).isEqualTo("EAGAIN");
      assertThat(holder.unlock()).isEqualTo("ok");
      cluster.promote(first);
      assertThat(other.await()).isEqualTo("ok");
      assertThat(other.sql(insert)).isEqualTo("ok");
    }
    cluster.assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aWriterAtWorkIsWaitedForAndOneThatDoesNotEndIsNamed(JournalMode mode) {
    String db = "busy-" + mode + ".db";
    Node first = cluster.awaitPrimary();
    Node second = cluster.others(first).get(0);
    try (Session writer = Driver.PYTHON.open(first.db(db))) {
      writer.runAll("PRAGMA journal_mode=" + mode, "CREATE TABLE t (x)");
      second.awaitPos(db, first.pos(db));
      writer.runAll("BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)");
      var answer = second.http().call("POST", "/promote");
      assertThat(answer.statusCode()).isEqualTo(500);
      assertThat(answer.body()).contains(db, Long.toString(writer.pid()));
      writer.run("COMMIT");
      assertThat(ElectedCluster.isPrimary(first)).isTrue();
      writer.run("INSERT INTO t VALUES (2)");
    }
    cluster.promote(second);
    cluster.assertIdentical(db);
  }

  @ParameterizedTest
  @ValueSource(strings = {"DELETE", "TRUNCATE", "PERSIST", "WAL", "MEMORY", "OFF"})
  void whatTheWriterCommitsThatIsWaitedForIsHandedOverToo(String mode) {
    String db = "waited-" + mode + ".db";
    for (int round = 1; round <= 2; round++) {
      Node first = cluster.awaitPrimary();
      Node second = cluster.others(first).get(0);
      try (Session writer = Driver.PYTHON.open(first.db(db))) {
        writer.runAll("PRAGMA journal_mode=" + mode, "CREATE TABLE IF NOT EXISTS t (x)");
        writer.runAll("BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)");
        var promoted = CompletableFuture.runAsync(() -> cluster.promote(second));
        Await.until(
            "the handoff waits",
            () -> first.http().get("/litefs/status.json").body().contains("\"handing over\""));
        writer.run("COMMIT");
        promoted.join();
      }
      try (Session there = Driver.PYTHON.open(second.db(db))) {
        assertThat(there.value("SELECT count(*) FROM t")).isEqualTo(Integer.toString(round));
      }
      cluster.assertIdentical(db);
    }
  }

  /** Only the index says that it is committed; see {@link UnchainedTransactionTest}. */
  @ParameterizedTest
  @ValueSource(strings = {"FULL", "NORMAL"})
  void aTransactionWithoutChecksumsThatIsWaitedForIsHandedOverToo(String synchronous) {
    String db = "unchained-" + synchronous + ".db";
    String[] begun = {
      "BEGIN IMMEDIATE",
      "SAVEPOINT s",
      UnchainedTransactionTest.insert(100, 131),
      "ROLLBACK TO s",
      "RELEASE s",
      UnchainedTransactionTest.insert(1, 20)
    };
    for (int round = 1; round <= 3; round++) {
      Node first = cluster.awaitPrimary();
      Node second = cluster.others(first).get(0);
      try (Session writer = Driver.SHELL.open(first.db(db))) {
        writer.runAll(
            "PRAGMA page_size = " + UnchainedTransactionTest.PAGE_SIZE,
            "PRAGMA journal_mode = WAL",
            "PRAGMA cache_size = 10",
            "PRAGMA synchronous = " + synchronous,
            "CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, n, b)",
            "CREATE INDEX IF NOT EXISTS tn ON t(n, b)",
            UnchainedTransactionTest.insert(10, 130),
            "PRAGMA wal_checkpoint(TRUNCATE)");
        writer.runAll(begun);
        writer.run("COMMIT");
        if (writer.value("SELECT sqlite_version()").equals("3.40.1")) {
          assertThat(UnchainedTransactionTest.hasFramesWithoutChecksum(first, db)).isTrue();
        }
        writer.run("PRAGMA wal_checkpoint(TRUNCATE)");
        writer.runAll(begun);
        var promoted = CompletableFuture.runAsync(() -> cluster.promote(second));
        Await.until(
            "the handoff waits",
            () -> first.http().get("/litefs/status.json").body().contains("\"handing over\""));
        writer.run("COMMIT");
        promoted.join();
      }
      try (Session there = Driver.SHELL.open(second.db(db))) {
        assertThat(there.value("SELECT count(*) FROM t")).isEqualTo(Integer.toString(12 * round));
      }
      cluster.assertIdentical(db);
    }
  }

  @Test
  void aReplicaThatWritesThroughThePrimaryIsWaitedForAndNamed() {
    String db = "halted.db";
    Node first = cluster.awaitPrimary();
    Node second = cluster.others(first).get(0);
    try (Session writer = Driver.PYTHON.open(first.db(db))) {
      writer.runAll("CREATE TABLE t (x)", "INSERT INTO t VALUES (1)");
    }
    second.awaitPos(db, first.pos(db));
    try (LockingProgram holder = new LockingProgram(second.db(db), LockingProgram.Owner.PROCESS)) {
      assertThat(holder.await()).isEqualTo("ok");
      var answer = second.http().call("POST", "/promote");
      assertThat(answer.statusCode()).isEqualTo(500);
      assertThat(answer.body()).contains(db, "halt lock");
      assertThat(holder.sql("INSERT INTO t VALUES (2)")).isEqualTo("ok");
      assertThat(holder.unlock()).isEqualTo("ok");
    }
    cluster.promote(second);
    cluster.assertIdentical(db);
  }

  /**
   * What it wrote goes, in the pages too that were free, which SQLite does not journal: on the node
   * that follows, and on one that is alone and leads again.
   */
  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aTransactionThatIsOpenWhenTheLeaseIsLostLeavesNothing(JournalMode mode) {
    String db = "lost-" + mode + ".db";
    Node first = cluster.awaitPrimary();
    Node second = cluster.others(first).get(0);
    String[] seen = new String[1];
    try (Session writer = Driver.PYTHON.open(first.db(db))) {
      writer.runAll(
          "PRAGMA journal_mode=" + mode,
          "CREATE TABLE t (x, y)",
          "INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300) "
              + "SELECT i, randomblob(3000) FROM c",
          "DELETE FROM t WHERE x % 3 > 0");
      seen[0] = writer.value("SELECT count(*) || ' ' || sum(x) FROM t");
      second.awaitPos(db, first.pos(db));
      writer.runAll(
          "PRAGMA cache_size=5",
          "BEGIN IMMEDIATE",
          "INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 150) "
              + "SELECT i, zeroblob(3000) FROM c");
      cluster.takeLeaseAway();
      cluster.awaitFollowers();
      assertThatThrownBy(() -> writer.run("COMMIT")).isInstanceOf(SqliteError.class);
    }
    Node primary = cluster.awaitPrimary();
    try (Session reader = Driver.PYTHON.open(primary.db(db));
        Session other = Driver.PYTHON.open(cluster.others(primary).get(0).db(db))) {
      assertThat(reader.value("SELECT count(*) || ' ' || sum(x) FROM t")).isEqualTo(seen[0]);
      reader.run("INSERT INTO t VALUES (0, '')");
      assertThat(reader.value("PRAGMA integrity_check")).isEqualTo("ok");
      cluster.awaitIdentical(db);
      assertThat(other.value("PRAGMA integrity_check")).isEqualTo("ok");
    }
  }

  @Test
  void aPrimaryThatStopsHandsOverFirst() {
    Node first = cluster.awaitPrimary();
    Node second = cluster.others(first).get(0);
    try (Session writer = Driver.PYTHON.open(first.db("stop.db"))) {
      writer.runAll("CREATE TABLE t (x)", "INSERT INTO t VALUES (1)");
    }
    long start = System.nanoTime();
    first.stop();
    Await.until("the other leads", () -> ElectedCluster.isPrimary(second));
    long took = (System.nanoTime() - start) / 1_000_000;
    assertThat(first.log()).contains("handing over", "demoted");
    assertThat(took).as("no time to live was waited for").isLessThan(ElectedCluster.TTL.toMillis());
    first.start();
    cluster.awaitFollowers();
    cluster.assertIdentical("stop.db");
  }
}

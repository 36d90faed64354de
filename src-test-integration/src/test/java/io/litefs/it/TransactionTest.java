package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.LineSession;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Transactions of unusual shape: huge, rolled back, nested, over several databases, and of many
 * writers.
 */
class TransactionTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aTransactionMuchLargerThanTheDaemonsHeapReplicates(JournalMode mode) {
    String db = "huge-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          mode.pragma(), "PRAGMA synchronous = OFF", Sql.CREATE, Sql.insert(120, 1_000_000));
      NODES.cluster().assertIdentical(db);
      session.run("UPDATE t SET b = randomblob(1000000) WHERE a % 2 = 0");
      NODES.cluster().sync(db);
      session.run("DELETE FROM t WHERE a > 2");
      session.run("VACUUM");
      NODES.cluster().assertIdentical(db);
    }
    NODES.cluster().assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aRollbackChangesNothing(JournalMode mode) {
    String db = "rollback-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(mode.pragma(), Sql.CREATE, Sql.insert(200, 1000));
      Position before = NODES.cluster().assertIdentical(db);
      session.runAll("BEGIN", "UPDATE t SET a = a + 1", Sql.insert(100, 1000), "ROLLBACK");
      assertThat(NODES.cluster().assertIdentical(db)).isEqualTo(before);
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aRollbackAfterTheCacheSpilledChangesNothing(JournalMode mode) {
    String db = "spilled-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(mode.pragma(), "PRAGMA cache_size = 5", Sql.CREATE, Sql.insert(500, 1000));
      Position before = NODES.cluster().assertIdentical(db);
      for (int i = 0; i < 3; i++) {
        session.runAll(
            "BEGIN",
            "UPDATE t SET b = randomblob(1100)",
            Sql.insert(800, 1000),
            "DELETE FROM t WHERE id < 400",
            "ROLLBACK");
        assertThat(NODES.primary().pos(db)).isEqualTo(before);
      }
      assertThat(NODES.cluster().assertIdentical(db)).isEqualTo(before);
      session.run(Sql.insert(10, 1000));
      assertThat(NODES.cluster().assertIdentical(db).txid()).isEqualTo(before.txid() + 1);
    }
    NODES.cluster().assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aSpilledTransactionThatWritesItsPagesAgainCommitsTheirLastVersion(JournalMode mode) {
    String db = "rewritten-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          mode.pragma(), "PRAGMA cache_size = 5", Sql.CREATE, Sql.insert(300, 1000), "BEGIN");
      for (int i = 0; i < 6; i++) {
        session.runAll(
            "UPDATE t SET b = randomblob(1000), a = a + 1",
            "SAVEPOINT s" + i,
            "DELETE FROM t WHERE id % 3 = 1",
            "ROLLBACK TO s" + i);
      }
      session.run("COMMIT");
      NODES.cluster().assertIdentical(db);
      assertThat(
              Commands.run(
                      "sqlite3",
                      NODES.replica().db(db).toString(),
                      "SELECT count(*), min(a) FROM t")
                  .output())
          .isEqualTo("300|7\n");
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void savepointsKeepWhatWasReleased(JournalMode mode) {
    String db = "savepoints-" + mode;
    try (Session session = Driver.PYTHON.open(NODES.primary().db(db))) {
      session.runAll(mode.pragma(), Sql.CREATE);
      session.runAll(
          "SAVEPOINT a",
          Sql.insert(10, 100),
          "SAVEPOINT b",
          Sql.insert(100, 1000),
          "ROLLBACK TO b",
          Sql.insert(1, 10),
          "RELEASE a");
      NODES.cluster().assertIdentical(db);
      assertThat(
              Commands.run("sqlite3", NODES.replica().db(db).toString(), "SELECT count(*) FROM t")
                  .output())
          .isEqualTo("11\n");
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void oneTransactionOverTwoAttachedDatabasesReachesBoth(JournalMode mode) {
    String one = "attach-one-" + mode;
    String two = "attach-two-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(one))) {
      session.run("ATTACH '" + NODES.primary().db(two) + "' AS two");
      session.runAll(mode.pragma(), "PRAGMA two.journal_mode = " + mode);
      session.runAll("CREATE TABLE t(a)", "CREATE TABLE two.u(a)");
      for (int i = 0; i < 5; i++) {
        session.runAll(
            "BEGIN",
            "INSERT INTO t VALUES (" + i + ")",
            "INSERT INTO u VALUES (" + i + ")",
            "COMMIT");
      }
      session.runAll("BEGIN", "INSERT INTO t VALUES (6)", "INSERT INTO u VALUES (6)", "ROLLBACK");
      NODES.cluster().assertIdentical(one);
      NODES.cluster().assertIdentical(two);
      assertThat(NODES.primary().pos(one).txid()).isEqualTo(NODES.primary().pos(two).txid());
    }
    try (Session session = Driver.SHELL.open(NODES.replica().db(one))) {
      session.run("ATTACH '" + NODES.replica().db(two) + "' AS two");
      assertThat(session.value("SELECT count(*) FROM t JOIN two.u USING (a)")).isEqualTo("5");
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void manyProcessesWriteAtATimeAndNoneLosesAnything(JournalMode mode) throws Exception {
    String db = "crowd-" + mode;
    int writers = 4;
    int commits = 50;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          mode.pragma(),
          "CREATE TABLE t(writer, n, b)",
          "CREATE TABLE total(n)",
          "INSERT INTO total VALUES (0)");
    }
    long before = NODES.primary().pos(db).txid();
    ExecutorService pool = Executors.newFixedThreadPool(writers);
    try {
      List<Future<Void>> done = new ArrayList<>();
      for (int w = 0; w < writers; w++) {
        Driver driver = Driver.values()[w % 3];
        int writer = w;
        Callable<Void> work =
            () -> {
              try (Session session = driver.open(NODES.primary().db(db))) {
                session.run(mode.pragma());
                for (int i = 0; i < commits; i++) {
                  session.runAll(
                      "BEGIN IMMEDIATE",
                      "INSERT INTO t VALUES (" + writer + ", " + i + ", randomblob(500))");
                  session.runAll("UPDATE total SET n = n + 1", "COMMIT");
                }
              }
              return null;
            };
        done.add(pool.submit(work));
      }
      for (Future<Void> each : done) {
        each.get();
      }
    } finally {
      pool.shutdownNow();
    }
    Position after = NODES.cluster().assertIdentical(db);
    assertThat(after.txid()).isEqualTo(before + writers * commits);
    assertThat(
            Commands.run(
                    "sqlite3",
                    NODES.replica().db(db).toString(),
                    "SELECT n, (SELECT count(*) FROM t) FROM total")
                .output())
        .isEqualTo(writers * commits + "|" + writers * commits + "\n");
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aWriterThatIsKilledInItsTransactionLeavesTheLastCommit(JournalMode mode) {
    String db = "killed-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(mode.pragma(), Sql.CREATE, Sql.insert(300, 1000));
    }
    Position before = NODES.cluster().assertIdentical(db);
    for (int i = 0; i < 3; i++) {
      Session victim = Driver.SHELL.open(NODES.primary().db(db));
      victim.runAll(
          mode.pragma(),
          "PRAGMA cache_size = 5",
          "BEGIN",
          "UPDATE t SET b = randomblob(1200)",
          Sql.insert(100, 1000));
      victim.kill();
      try (Session next = Driver.SHELL.open(NODES.primary().db(db))) {
        assertThat(next.value("SELECT count(*) FROM t")).isEqualTo("300");
        assertThat(next.value("PRAGMA integrity_check")).isEqualTo("ok");
      }
      assertThat(NODES.cluster().assertIdentical(db)).isEqualTo(before);
    }
    try (Session next = Driver.SHELL.open(NODES.primary().db(db))) {
      next.run("DELETE FROM t WHERE id > 200");
    }
    assertThat(NODES.cluster().assertIdentical(db).txid()).isEqualTo(before.txid() + 1);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aBusyDatabaseRefusesASecondWriterWithSqlitesOwnError(JournalMode mode) {
    String db = "busy-" + mode;
    try (Session first = Driver.SHELL.open(NODES.primary().db(db));
        LineSession second = LineSession.jdbc(NODES.primary().db(db))) {
      first.runAll(mode.pragma(), Sql.CREATE, "BEGIN IMMEDIATE", "INSERT INTO t(a) VALUES (1)");
      second.run("PRAGMA busy_timeout = 0");
      assertThatThrownBy(() -> second.run("INSERT INTO t(a) VALUES (2)"))
          .isInstanceOf(SqliteError.class)
          .hasMessageContaining("SQLITE_BUSY");
      first.run("COMMIT");
      second.run("INSERT INTO t(a) VALUES (2)");
      NODES.cluster().assertIdentical(db);
    }
  }
}

package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Cases of which LiteFS (Go) dies, does not start again, or loses what was committed: daemons that
 * are killed, and transactions that rewrite or undo very much. {@code -Dlitefs.it.wal.megabytes=N}
 * sets the size of the largest WAL.
 */
class OriginalCrashesTest {

  private static final long WAL_MEGABYTES = Long.getLong("litefs.it.wal.megabytes", 200);

  private Cluster cluster;

  @BeforeEach
  void start() {
    cluster = Cluster.start(2);
  }

  @AfterEach
  void noStackTraceWasLogged() {
    try (Cluster closed = cluster) {
      assertThat(closed.logs()).doesNotContain("\n\tat ");
    }
  }

  private void killAndStart(Node node) {
    node.kill();
    node.start();
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void fullTextTriggersWithAConstraintFailureAndALargeRollback(JournalMode mode) {
    String db = "fts";
    try (Session session = Driver.SHELL.open(cluster.primary().db(db))) {
      session.runAll(
          mode.pragma(),
          "PRAGMA cache_size = 20",
          "CREATE TABLE doc(id INTEGER PRIMARY KEY, key TEXT UNIQUE, body TEXT)",
          "CREATE VIRTUAL TABLE found USING fts5(body, content='doc', content_rowid='id')",
          "CREATE TRIGGER ai AFTER INSERT ON doc BEGIN INSERT INTO found(rowid, body) VALUES (new.id, new.body); END",
          "CREATE TRIGGER ad AFTER DELETE ON doc BEGIN INSERT INTO found(found, rowid, body) VALUES ('delete', old.id, old.body); END",
          "CREATE TRIGGER au AFTER UPDATE ON doc BEGIN INSERT INTO found(found, rowid, body) VALUES ('delete', old.id, old.body); INSERT INTO found(rowid, body) VALUES (new.id, new.body); END",
          documents(1, 300));
      Position before = cluster.assertIdentical(db);

      // A statement that fails half-way, alone: the statement is undone, so is its transaction.
      assertThatThrownBy(
              () -> session.run(documents(301, 2000) + " UNION ALL SELECT 5000, 'k7', 'x'"))
          .isInstanceOf(SqliteError.class)
          .hasMessageContaining("UNIQUE");
      assertThat(cluster.assertIdentical(db)).isEqualTo(before);

      // Within a transaction: the statement is undone, the transaction goes on and is committed.
      session.run("BEGIN");
      session.run(documents(301, 400));
      assertThatThrownBy(
              () -> session.run(documents(401, 2000) + " UNION ALL SELECT 5000, 'k8', 'x'"))
          .isInstanceOf(SqliteError.class);
      session.run("UPDATE doc SET body = body || ' changed' WHERE id % 3 = 0");
      session.run("COMMIT");
      Position after = cluster.assertIdentical(db);
      assertThat(after.txid()).isEqualTo(before.txid() + 1);

      // And a large one that is rolled back.
      session.run("BEGIN");
      session.run(documents(401, 4000));
      session.run("UPDATE doc SET body = 'nothing ' || body");
      session.run("DELETE FROM doc WHERE id % 2 = 0");
      session.run("ROLLBACK");
      assertThat(cluster.assertIdentical(db)).isEqualTo(after);

      session.run("INSERT INTO found(found) VALUES ('optimize')");
      session.run("INSERT INTO found(found) VALUES ('integrity-check')");
      assertThat(session.value("SELECT count(*) FROM found WHERE found MATCH 'changed'"))
          .isEqualTo("133");
      cluster.assertIdentical(db);
    }
    killAndStart(cluster.primary());
    cluster.assertIdentical(db);
  }

  private static String documents(int from, int to) {
    return "INSERT INTO doc(id, key, body) WITH RECURSIVE n(i) AS (SELECT "
        + from
        + " UNION ALL SELECT i + 1 FROM n WHERE i < "
        + to
        + ") SELECT i, 'k' || i, 'word' || (i % 50) || ' ' || hex(randomblob(200)) FROM n";
  }

  @Test
  void aHugeWalFollowedByVacuum() {
    String db = "huge";
    long rows = WAL_MEGABYTES / 2;
    try (Session session = Driver.SHELL.open(cluster.primary().db(db))) {
      session.runAll(
          "PRAGMA journal_mode = WAL",
          "PRAGMA synchronous = NORMAL",
          "PRAGMA wal_autocheckpoint = 0",
          Sql.CREATE);
      for (long done = 0; done < rows; done += 10) {
        session.run(Sql.insert((int) Math.min(10, rows - done), 1 << 20));
      }
      session.run("UPDATE t SET b = randomblob(1 << 20)");
      assertThat(cluster.primary().db(db + "-wal").toFile().length()).isGreaterThan(rows * 2 << 20);
      session.run("DELETE FROM t WHERE id % 10 <> 0");
      session.run("VACUUM");
      cluster.assertIdentical(db);
      assertThat(session.value("SELECT count(*) FROM t")).isEqualTo(Long.toString(rows / 10));

      // The WAL is there still, and all of it is beyond the database file.
      killAndStart(cluster.primary());
    } catch (SqliteError e) {
      throw new AssertionError(cluster.logs(), e);
    }
    Position pos = cluster.assertIdentical(db);
    try (Session session = Driver.SHELL.open(cluster.primary().db(db))) {
      assertThat(session.value("SELECT count(*) FROM t")).isEqualTo(Long.toString(rows / 10));
      session.run("DELETE FROM t WHERE id = 10");
      assertThat(cluster.assertIdentical(db).txid()).isEqualTo(pos.txid() + 1);
    }
  }

  /** Killed after each step, with a WAL or a journal left behind or not. */
  @Test
  void deleteToWalToDeleteWithDataChangedOnTheWayAndTheDaemonKilledBetween() {
    String db = "modes";
    List<String> steps =
        List.of(
            "PRAGMA journal_mode = DELETE;" + Sql.CREATE + ";" + Sql.insert(100, 900),
            "UPDATE t SET a = a + 1",
            "PRAGMA journal_mode = WAL",
            "UPDATE t SET b = randomblob(950)",
            Sql.insert(50, 2000),
            "PRAGMA journal_mode = DELETE",
            "DELETE FROM t WHERE id % 2 = 0",
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE t SET a = a + 1; DELETE FROM t WHERE id > 120",
            "PRAGMA journal_mode = DELETE; VACUUM",
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; " + Sql.insert(30, 700),
            "PRAGMA journal_mode = TRUNCATE; UPDATE t SET b = randomblob(100)",
            "PRAGMA journal_mode = DELETE; " + Sql.insert(10, 100));
    for (int i = 0; i < steps.size(); i++) {
      long before = i == 0 ? 0 : cluster.primary().pos(db).txid();
      // It is open when the daemon dies: no last close tidies up.
      Session session = Driver.SHELL.open(cluster.primary().db(db));
      try {
        for (String statement : steps.get(i).split(";")) {
          session.run(statement.strip());
        }
        Position pos = cluster.primary().pos(db);
        assertThat(pos.txid()).isGreaterThan(before);
        String content = content(session);
        Node node = i % 3 == 2 ? cluster.replica() : cluster.primary();
        killAndStart(node);
        assertThat(cluster.assertIdentical(db)).as("after step %d", i).isEqualTo(pos);
        try (Session next = Driver.SHELL.open(cluster.primary().db(db))) {
          assertThat(content(next)).as("after step %d", i).isEqualTo(content);
        }
      } finally {
        session.kill();
      }
    }
  }

  private static String content(Session session) {
    return session.value("SELECT count(*) || ' ' || sum(a) || ' ' || sum(length(b)) FROM t");
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void noAcknowledgedCommitIsLostWhenTheDaemonIsKilledWhileWritersCommit(JournalMode mode)
      throws Exception {
    String db = "killed";
    try (Session session = Driver.SHELL.open(cluster.primary().db(db))) {
      session.runAll(
          mode.pragma(), "PRAGMA synchronous = OFF", "CREATE TABLE t(n INTEGER PRIMARY KEY, b)");
    }
    ExecutorService writer = Executors.newSingleThreadExecutor();
    AtomicInteger acknowledged = new AtomicInteger();
    try {
      for (int kill = 1; kill <= 4; kill++) {
        Session session = Driver.PYTHON.open(cluster.primary().db(db));
        session.runAll(mode.pragma(), "PRAGMA synchronous = OFF");
        int until = acknowledged.get() + 20 * kill;
        Future<?> writing =
            writer.submit(
                () -> {
                  try {
                    while (true) {
                      session.run(
                          "INSERT INTO t(n, b) VALUES ("
                              + (acknowledged.get() + 1)
                              + ", randomblob(3000))");
                      acknowledged.incrementAndGet();
                    }
                  } catch (SqliteError e) {
                    // The daemon is dead.
                  }
                });
        Await.until("commits", () -> acknowledged.get() >= until);
        cluster.primary().kill();
        writing.get();
        session.close();
        cluster.primary().start();
        cluster.assertIdentical(db);
        try (Session next = Driver.SHELL.open(cluster.primary().db(db))) {
          int there = Integer.parseInt(next.value("SELECT count(*) FROM t"));
          assertThat(next.value("SELECT max(n) FROM t")).isEqualTo(Integer.toString(there));
          assertThat(there).isBetween(acknowledged.get(), acknowledged.get() + 1);
          acknowledged.set(there);
        }
      }
    } finally {
      writer.shutdownNow();
    }
  }

  /** The last transaction before the kill leaves pages in the WAL that only the log explains. */
  @Test
  void aShrunkenWalDatabaseSurvivesAKillBeforeItsCheckpoint() {
    String db = "shrunken";
    Session session = Driver.SHELL.open(cluster.primary().db(db));
    try {
      session.runAll(
          "PRAGMA journal_mode = WAL",
          "PRAGMA wal_autocheckpoint = 0",
          "PRAGMA auto_vacuum = FULL",
          "PRAGMA cache_size = 10",
          Sql.CREATE,
          Sql.insert(2000, 3000),
          "PRAGMA wal_checkpoint",
          "BEGIN",
          Sql.insert(500, 3000),
          "DELETE FROM t WHERE a > 10",
          "COMMIT",
          "VACUUM");
      Position pos = cluster.sync(db);
      killAndStart(cluster.primary());
      assertThat(cluster.assertIdentical(db)).isEqualTo(pos);
    } finally {
      session.kill();
    }
    try (Session next = Driver.SHELL.open(cluster.primary().db(db))) {
      assertThat(next.value("SELECT count(*) FROM t")).isEqualTo("20");
      next.run(Sql.insert(50, 3000));
      cluster.assertIdentical(db);
    }
  }

  /** A hot journal, whose transaction the daemon's death interrupted after its cache spilled. */
  @ParameterizedTest
  @EnumSource(
      value = JournalMode.class,
      names = {"DELETE", "TRUNCATE", "PERSIST"})
  void aTransactionThatTheDaemonsDeathInterruptsNeverHappened(JournalMode mode) {
    String db = "interrupted";
    Session session = Driver.SHELL.open(cluster.primary().db(db));
    try {
      session.runAll(mode.pragma(), Sql.CREATE, Sql.insert(500, 1000));
      Position before = cluster.assertIdentical(db);
      String content = content(session);
      session.runAll(
          "PRAGMA cache_size = 5",
          "BEGIN",
          "UPDATE t SET b = randomblob(1000)",
          Sql.insert(300, 1000));
      killAndStart(cluster.primary());
      assertThat(cluster.assertIdentical(db)).isEqualTo(before);
      try (Session next = Driver.SHELL.open(cluster.primary().db(db))) {
        assertThat(content(next)).isEqualTo(content);
      }
    } finally {
      session.kill();
    }
  }
}

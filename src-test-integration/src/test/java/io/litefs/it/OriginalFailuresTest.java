package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Cases that LiteFS (Go) loses, refuses or dies of; here they are ordinary. */
class OriginalFailuresTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @Test
  void exclusiveLockingInWalModeWorks() {
    String db = "exclusive-wal";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.run("PRAGMA locking_mode = EXCLUSIVE");
      assertThat(session.value("PRAGMA journal_mode = WAL")).isEqualTo("wal");
      session.runAll(Sql.CREATE, Sql.insert(100, 300));
      session.runAll("BEGIN", "UPDATE t SET a = a + 1", "DELETE FROM t WHERE id > 90", "COMMIT");
      NODES.cluster().sync(db);
      assertThat(
              Commands.run("sqlite3", NODES.replica().db(db).toString(), "SELECT count(*) FROM t")
                  .orThrow()
                  .output())
          .isEqualTo("90\n");
    }
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void exclusiveLockingThatBeginsWithinWalModeAndEndsAgain() {
    String db = "exclusive-later";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "PRAGMA journal_mode = WAL",
          Sql.CREATE,
          "PRAGMA locking_mode = EXCLUSIVE",
          Sql.insert(100, 300));
      NODES.cluster().sync(db);
      session.runAll("PRAGMA locking_mode = NORMAL", "DELETE FROM t WHERE a > 50", "VACUUM");
      NODES.cluster().assertIdentical(db);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 50_000})
  void journalSizeLimitTruncatesTheWal(int limit) throws Exception {
    String db = "limit-" + limit;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "PRAGMA journal_mode = WAL",
          "PRAGMA journal_size_limit = " + limit,
          Sql.CREATE,
          Sql.insert(500, 1000));
      assertThat(Files.size(NODES.primary().db(db + "-wal"))).isGreaterThan(500_000);
      session.run("PRAGMA wal_checkpoint(RESTART)");
      session.run("INSERT INTO t(a) VALUES (1)");
      assertThat(Files.size(NODES.primary().db(db + "-wal")))
          .isLessThanOrEqualTo(Math.max(limit, 3 * 4120 + 32));
      NODES.cluster().assertIdentical(db);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"something-wal", "something-journal", "something-shm", "a-b-wal-journal"})
  void aDatabaseMayBeNamedLikeAFileOfAnother(String db) {
    for (JournalMode mode : JournalMode.values()) {
      try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
        session.runAll(
            mode.pragma(),
            "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, a, b)",
            Sql.insert(50, 300));
        NODES.cluster().assertIdentical(db);
      }
      NODES.cluster().assertIdentical(db);
    }
  }

  @Test
  void walDataThenDeleteModeInOneStep() {
    String db = "wal-to-delete";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "PRAGMA journal_mode = WAL",
          "PRAGMA wal_autocheckpoint = 0",
          Sql.CREATE,
          Sql.insert(300, 900));
      session.runAll("UPDATE t SET b = randomblob(950)", "PRAGMA journal_mode = DELETE");
      NODES.cluster().assertIdentical(db);
    }
  }

  @Test
  void aLargeDeleteAndVacuumInWalModeShrinksByThousandsOfPagesBeforeACheckpoint() {
    String db = "shrinking-wal";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "PRAGMA journal_mode = WAL",
          "PRAGMA wal_autocheckpoint = 0",
          Sql.CREATE,
          Sql.insert(3000, 3000));
      NODES.cluster().assertIdentical(db);
      session.runAll("DELETE FROM t WHERE a > 10", "VACUUM");
      NODES.cluster().assertIdentical(db);
      session.run("PRAGMA wal_checkpoint(TRUNCATE)");
      session.run(Sql.insert(20, 3000));
      NODES.cluster().assertIdentical(db);
    }
    NODES.cluster().assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void autoVacuumCacheSpillAndShrinkInOneTransaction(JournalMode mode) {
    String db = "spill-shrink-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "PRAGMA auto_vacuum = FULL",
          mode.pragma(),
          "PRAGMA cache_size = 10",
          Sql.CREATE,
          Sql.insert(500, 2000));
      session.runAll(
          "BEGIN",
          Sql.insert(1500, 2000),
          "UPDATE t SET a = a + 1",
          "DELETE FROM t WHERE id > 100",
          "COMMIT");
      NODES.cluster().assertIdentical(db);
      session.run(Sql.insert(20, 2000));
      NODES.cluster().assertIdentical(db);
    }
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void anEmptyDatabaseCanBeDeleted() throws Exception {
    Path file = NODES.primary().db("empty");
    Files.createFile(file);
    assertThat(Files.size(file)).isZero();
    Files.delete(file);
    assertThat(file).doesNotExist();
    Commands.run("sqlite3", file.toString(), Sql.CREATE + ";" + Sql.insert(10, 10)).orThrow();
    NODES.cluster().assertIdentical("empty");
    Files.delete(file);
    NODES.cluster().assertDropped("empty");
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aDatabaseIsRenamed(JournalMode mode) throws Exception {
    String from = "before-" + mode;
    String to = "after-" + mode;
    Commands.run(
            "sqlite3",
            NODES.primary().db(from).toString(),
            mode.pragma() + ";" + Sql.CREATE + ";" + Sql.insert(100, 500))
        .orThrow();
    NODES.cluster().assertIdentical(from);
    Commands.run("mv", NODES.primary().db(from).toString(), NODES.primary().db(to).toString())
        .orThrow();
    NODES.cluster().assertIdentical(to);
    NODES.cluster().assertDropped(from);
    assertThat(
            Commands.run("sqlite3", NODES.replica().db(to).toString(), "SELECT count(*) FROM t")
                .orThrow()
                .output())
        .isEqualTo("100\n");

    Commands.run(
            "sqlite3",
            NODES.primary().db(from).toString(),
            "CREATE TABLE other(a); INSERT INTO other VALUES (7)")
        .orThrow();
    Commands.run("mv", NODES.primary().db(from).toString(), NODES.primary().db(to).toString())
        .orThrow();
    NODES.cluster().assertIdentical(to);
    NODES.cluster().assertDropped(from);
    assertThat(
            Commands.run("sqlite3", NODES.replica().db(to).toString(), "SELECT a FROM other")
                .orThrow()
                .output())
        .isEqualTo("7\n");
  }
}

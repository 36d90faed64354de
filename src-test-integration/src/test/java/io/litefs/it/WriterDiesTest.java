package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A writer that is killed after its commit frame is in the WAL, and with it in the log, but before
 * it published the transaction in the wal-index. It was told nothing, so the transaction may be
 * there or not; but it must be there for all or for none: every connection of the primary, old and
 * new, the replica, and the position. What is committed later is never lost.
 *
 * <p>{@code -Dlitefs.it.deaths=N} kills more writers.
 */
class WriterDiesTest {

  private static final int DEATHS = Integer.getInteger("litefs.it.deaths", 3);

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @TempDir private static Path dir;

  private static Path shim;

  @BeforeAll
  static void compileTheShim() {
    assertThat(Commands.installed("gcc")).as("gcc is installed").isTrue();
    shim = dir.resolve("dieaftercommit.so");
    Path source = SqliteSource.module().resolve("src/test/c/dieaftercommit.c");
    Commands.run("gcc", "-O1", "-shared", "-fPIC", "-o", shim.toString(), source.toString(), "-ldl")
        .orThrow();
  }

  /** Runs statements in a shell that dies at the commit after {@code spared} others. */
  private static void dieAtCommit(String db, int spared, String... statements) {
    Commands.Result result =
        Commands.run(
            Await.LONG,
            Map.of("LD_PRELOAD", shim.toString(), "DIE_AFTER_COMMITS", Integer.toString(spared)),
            List.of(
                "sqlite3",
                NODES.primary().db(db).toString(),
                "PRAGMA busy_timeout = 30000;" + String.join(";", statements)));
    assertThat(result.exitCode()).as(result.output()).isEqualTo(128 + 9);
  }

  private static void create(String db) {
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "PRAGMA journal_mode = WAL",
          "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)",
          "CREATE INDEX ta ON t(a)",
          "INSERT INTO t(a) VALUES ('first')");
      NODES.cluster().assertIdentical(db);
    }
  }

  private static int count(Path database, String a) {
    return Integer.parseInt(
        Commands.run(
                "sqlite3",
                "-cmd",
                ".timeout 30000",
                database.toString(),
                "SELECT count(*) FROM t WHERE a = '" + a + "'")
            .orThrow()
            .output()
            .strip());
  }

  /**
   * Everyone agrees on how often {@code a} is there.
   *
   * @param open a connection of the primary, or null
   */
  private static int agreedCount(String db, Session open, String a) {
    int seen = -1;
    if (open != null) {
      // Before anybody else opens the database, which could mend it.
      seen = Integer.parseInt(open.value("SELECT count(*) FROM t WHERE a = '" + a + "'"));
    }
    int fresh = count(NODES.primary().db(db), a);
    if (open != null) {
      assertThat(seen).as("'%s' seen by the open connection and by a new one", a).isEqualTo(fresh);
    }
    // The position, the log, the bytes, and what SQLite reads, on both nodes.
    NODES.cluster().assertIdentical(db);
    assertThat(count(NODES.replica().db(db), a)).as("'%s' on the replica", a).isEqualTo(fresh);
    assertThat(count(NODES.primary().db(db), a)).as("'%s' on the primary", a).isEqualTo(fresh);
    return fresh;
  }

  private static String insert(String a) {
    return "INSERT INTO t(a, b) VALUES ('" + a + "', randomblob(9000))";
  }

  @Test
  void withNoOtherConnectionOpen() {
    String db = "alone";
    create(db);
    for (int i = 0; i < DEATHS; i++) {
      dieAtCommit(db, 0, insert("dying" + i));
      int there = agreedCount(db, null, "dying" + i);
      assertThat(there).isBetween(0, 1);
      Commands.run("sqlite3", NODES.primary().db(db).toString(), insert("later" + i)).orThrow();
      assertThat(agreedCount(db, null, "later" + i)).isOne();
      assertThat(agreedCount(db, null, "dying" + i)).isEqualTo(there);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"SHELL", "PYTHON", "JDBC"})
  void withAnotherConnectionOpen(String driver) {
    String db = "accompanied-" + driver;
    create(db);
    try (Session open = Driver.valueOf(driver).open(NODES.primary().db(db))) {
      assertThat(open.value("SELECT count(*) FROM t")).isEqualTo("1");
      for (int i = 0; i < DEATHS; i++) {
        dieAtCommit(db, 0, insert("dying" + i));
        int there = agreedCount(db, open, "dying" + i);
        assertThat(there).isBetween(0, 1);
        open.run(insert("later" + i));
        assertThat(agreedCount(db, open, "later" + i)).isOne();
        assertThat(agreedCount(db, open, "dying" + i)).isEqualTo(there);
      }
    }
  }

  @Test
  void withAReadTransactionOpen() {
    String db = "read";
    create(db);
    try (Session open = Driver.SHELL.open(NODES.primary().db(db))) {
      for (int i = 0; i < DEATHS; i++) {
        open.run("BEGIN");
        String before = open.value("SELECT count(*) FROM t");
        dieAtCommit(db, 0, insert("dying" + i));
        assertThat(open.value("SELECT count(*) FROM t")).isEqualTo(before);
        open.run("COMMIT");
        int there = agreedCount(db, open, "dying" + i);
        Commands.run("sqlite3", NODES.primary().db(db).toString(), insert("later" + i)).orThrow();
        assertThat(agreedCount(db, open, "later" + i)).isOne();
        assertThat(agreedCount(db, open, "dying" + i)).isEqualTo(there);
      }
    }
  }

  /** The next writer does not look first: it writes where it believes that the WAL ends. */
  @Test
  void withAnotherWriterThatGoesOnAtOnce() {
    String db = "overtaken";
    create(db);
    try (Session open = Driver.SHELL.open(NODES.primary().db(db))) {
      for (int i = 0; i < DEATHS; i++) {
        open.run(insert("before" + i));
        dieAtCommit(db, i % 3, insert("a" + i), insert("b" + i), insert("c" + i));
        open.run(insert("later" + i));
        String dying = List.of("a", "b", "c").get(i % 3) + i;
        assertThat(agreedCount(db, open, dying)).isBetween(0, 1);
        for (String committed : List.of("a" + i, "b" + i).subList(0, i % 3)) {
          assertThat(agreedCount(db, open, committed)).as(committed).isOne();
        }
        assertThat(agreedCount(db, open, "before" + i)).isOne();
        assertThat(agreedCount(db, open, "later" + i)).isOne();
      }
    }
  }

  /** A smaller transaction overwrites only some of its frames, or a checkpoint restarts the WAL. */
  @ParameterizedTest
  @ValueSource(strings = {"PASSIVE", "FULL", "RESTART", "TRUNCATE"})
  void withACheckpointNext(String kind) {
    String db = "checkpoint-" + kind;
    create(db);
    try (Session open = Driver.SHELL.open(NODES.primary().db(db))) {
      for (int i = 0; i < DEATHS; i++) {
        open.run(insert("before" + i));
        dieAtCommit(
            db, 0, "UPDATE t SET b = randomblob(20000) WHERE a LIKE 'before%'; " + insert("-"));
        dieAtCommit(db, 0, insert("dying" + i));
        open.run("PRAGMA wal_checkpoint(" + kind + ")");
        open.run("INSERT INTO t(a) VALUES ('later" + i + "')");
        assertThat(agreedCount(db, open, "dying" + i)).isBetween(0, 1);
        assertThat(agreedCount(db, open, "before" + i)).isOne();
        assertThat(agreedCount(db, open, "later" + i)).isOne();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void withTheDaemonNext(boolean killed) {
    String db = "daemon-" + killed;
    create(db);
    for (int i = 0; i < DEATHS; i++) {
      dieAtCommit(db, 1, insert("committed" + i), insert("dying" + i));
      Position before = NODES.primary().pos(db);
      if (killed) {
        NODES.primary().kill();
      } else {
        assertThat(NODES.primary().stop()).isZero();
      }
      NODES.primary().start();
      assertThat(NODES.primary().pos(db).txid()).isGreaterThanOrEqualTo(before.txid());
      int there = agreedCount(db, null, "dying" + i);
      assertThat(there).isBetween(0, 1);
      assertThat(agreedCount(db, null, "committed" + i)).isOne();
      Commands.run("sqlite3", NODES.primary().db(db).toString(), insert("later" + i)).orThrow();
      assertThat(agreedCount(db, null, "later" + i)).isOne();
      assertThat(agreedCount(db, null, "dying" + i)).isEqualTo(there);
    }
  }
}

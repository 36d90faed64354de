package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * A writer that dies after its commit frame is in the WAL, and with it in the log and on the replica, but before it published the
 * transaction in the wal-index. Every connection must see it afterwards, and no later writer may overwrite it unnoticed.
 */
class UnpublishedCommitTest {

  private static final int ROUNDS = Integer.getInteger("litefs.it.deaths", 10);

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @TempDir private static Path dir;

  private static Path shim;

  @BeforeAll
  static void compileTheShim() {
    Assumptions.assumeTrue(Commands.installed("gcc"), "gcc is installed");
    shim = dir.resolve("dieaftercommit.so");
    Commands.run(
            "gcc", "-O1", "-shared", "-fPIC", "-o", shim.toString(), SqliteSource.module().resolve("src/test/c/dieaftercommit.c").toString(), "-ldl")
        .orThrow();
  }

  /** Runs statements in a shell that dies at the commit after {@code spared} others. */
  private static void dieAtCommit(String db, int spared, String... statements) {
    Commands.Result result =
        Commands.run(
            Await.LONG,
            Map.of("LD_PRELOAD", shim.toString(), "DIE_AFTER_COMMITS", Integer.toString(spared)),
            List.of("sqlite3", NODES.primary().db(db).toString(), "PRAGMA busy_timeout = 30000;" + String.join(";", statements)));
    assertThat(result.exitCode()).as(result.output()).isEqualTo(128 + 9);
  }

  private static void create(String db) {
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll("PRAGMA journal_mode = WAL", "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)", "INSERT INTO t(a) VALUES (0)");
      NODES.cluster().assertIdentical(db);
    }
  }

  private static void assertEveryoneSees(String db, Session open, int rows) {
    for (Node node : NODES.cluster().nodes()) {
      assertThat(Commands.run("sqlite3", node.db(db).toString(), "SELECT count(*) FROM t").orThrow().output().strip())
          .as(node == NODES.primary() ? "primary" : "replica")
          .isEqualTo(Integer.toString(rows));
    }
    if (open != null) {
      assertThat(open.value("SELECT count(*) FROM t")).as("a connection that was open at the time").isEqualTo(Integer.toString(rows));
    }
  }

  @Test
  void aCommitOfTheOnlyConnectionIsSeenByTheNext() {
    String db = "alone";
    create(db);
    for (int i = 1; i <= ROUNDS; i++) {
      long before = NODES.primary().pos(db).txid();
      dieAtCommit(db, 0, "INSERT INTO t(a, b) VALUES (" + i + ", randomblob(10000))");
      assertThat(NODES.primary().pos(db).txid()).isEqualTo(before + 1);
      NODES.cluster().assertIdentical(db);
      assertEveryoneSees(db, null, i + 1);
    }
  }

  @Test
  void aCommitIsSeenByConnectionsThatWereOpenAtTheTime() {
    String db = "accompanied";
    create(db);
    try (Session open = Driver.SHELL.open(NODES.primary().db(db))) {
      assertThat(open.value("SELECT count(*) FROM t")).isEqualTo("1");
      for (int i = 1; i <= ROUNDS; i++) {
        long before = NODES.primary().pos(db).txid();
        dieAtCommit(db, 0, "INSERT INTO t(a, b) VALUES (" + i + ", randomblob(10000))");
        assertThat(NODES.primary().pos(db).txid()).isEqualTo(before + 1);
        NODES.cluster().assertIdentical(db);
        assertEveryoneSees(db, open, i + 1);
      }
    }
  }

  @Test
  void theNextWriterWritesBehindItOrEveryNodeAgreesThatItNeverHappened() {
    String db = "overtaken";
    create(db);
    try (Session open = Driver.SHELL.open(NODES.primary().db(db))) {
      for (int i = 1; i <= ROUNDS; i++) {
        String before = open.value("SELECT count(*) FROM t");
        dieAtCommit(db, i % 3, "INSERT INTO t(a) VALUES (1)", "INSERT INTO t(a) VALUES (2)", "INSERT INTO t(a, b) VALUES (3, randomblob(9000))");
        open.run("INSERT INTO t(a) VALUES (4)");
        int rows = Integer.parseInt(open.value("SELECT count(*) FROM t"));
        assertThat(rows).isEqualTo(Integer.parseInt(before) + i % 3 + 2);
        NODES.cluster().assertIdentical(db);
        assertEveryoneSees(db, open, rows);
      }
    }
  }
}

package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every change from one journal mode to another, with changes that the old mode has not put into
 * the database file yet.
 */
class ModeSwitchTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  private static final List<String> MODES =
      List.of("delete", "truncate", "persist", "wal", "memory", "off");

  static Stream<Arguments> pairs() {
    return MODES.stream()
        .flatMap(
            from ->
                MODES.stream().filter(to -> !to.equals(from)).map(to -> Arguments.of(from, to)));
  }

  @ParameterizedTest
  @MethodSource("pairs")
  void everyPairOfModesKeepsTheDataOfBothSides(String from, String to) {
    String db = from + "-" + to;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      assertThat(session.value("PRAGMA journal_mode = " + from)).isEqualTo(from);
      session.runAll(Sql.CREATE, Sql.insert(200, 300));
      Position before = NODES.cluster().assertIdentical(db);
      try (Session reader = Driver.SHELL.open(NODES.replica().db(db))) {
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("200");

        session.run("UPDATE t SET b = randomblob(400) WHERE a % 2 = 0");
        session.run("DELETE FROM t WHERE a > 150");
        assertThat(session.value("PRAGMA journal_mode = " + to)).isEqualTo(to);
        session.run("INSERT INTO t(a) VALUES (1000)");
        Position after = NODES.cluster().assertIdentical(db);
        assertThat(after.txid()).isGreaterThan(before.txid());
        assertThat(reader.value("SELECT count(*), max(a) FROM t")).isEqualTo("151|1000");

        session.run("INSERT INTO t(a) VALUES (1001)");
        session.run("VACUUM");
        session.run("PRAGMA journal_mode = " + from);
        session.run("INSERT INTO t(a) VALUES (1002)");
        NODES.cluster().assertIdentical(db);
        assertThat(reader.value("SELECT count(*), max(a) FROM t")).isEqualTo("153|1002");
      }
    }
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void aDatabaseGoesBackAndForthBetweenWalAndDeleteManyTimes() {
    String db = "back-and-forth";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.run(Sql.CREATE);
      for (int i = 0; i < 20; i++) {
        session.run("PRAGMA journal_mode = " + (i % 2 == 0 ? "wal" : "delete"));
        session.run("INSERT INTO t(a, b) VALUES (" + i + ", randomblob(9000))");
        session.run("UPDATE t SET a = a + 1");
      }
      NODES.cluster().assertIdentical(db);
    }
  }

  /**
   * A race of SQLite's own, which damages the database on any other filesystem: a connection that
   * leaves WAL mode lets go of EXCLUSIVE for a moment before it writes the header. Another one that
   * begins then makes the WAL anew, and the first overwrites page 1 with what it was before.
   */
  @ParameterizedTest
  @CsvSource({
    "overtaken-by-frames, PRAGMA wal_checkpoint(RESTART); UPDATE t SET a = 7 WHERE id = 100",
    "overtaken-by-pages, PRAGMA wal_checkpoint(TRUNCATE)"
  })
  void whoLeavesWalModeOverwritesNothingThatAnotherHasCommittedMeanwhile(String name, String last)
      throws Exception {
    Path db = NODES.primary().db(name);
    Path dir = Commands.workDirectory(name);
    Path copy = dir.resolve("copy.db");
    String leave = "PRAGMA journal_mode = TRUNCATE";
    sqlite(db, "PRAGMA journal_mode = WAL", Sql.CREATE, Sql.insert(1, 100));
    Commands.run("cp", db.toString(), copy.toString()).orThrow();
    Path trace = dir.resolve("trace");
    Commands.run(traced(trace, "", copy, leave)).orThrow();
    // It has RESERVED then, and does not look at the files again.
    int call = callThatReserves(Files.readString(trace));

    Path output = dir.resolve("output");
    Process leaving =
        new ProcessBuilder(traced(trace, "signal=SIGSTOP:when=" + call, db, leave))
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    Reaper.process(leaving.pid());
    Await.until(
        Await.LONG, "it is stopped", () -> Files.readString(trace).contains("stopped by SIGSTOP"));
    sqlite(db, Sql.insert(200, 3000), last);
    String pid = Files.readString(trace).split(" ", 2)[0];
    Commands.run("kill", "-CONT", pid).orThrow();

    assertThat(leaving.waitFor(30, TimeUnit.SECONDS)).isTrue();
    Reaper.processGone(leaving.pid());
    assertThat(sqlite(db, "PRAGMA integrity_check", "SELECT count(*) FROM t"))
        .isEqualTo("ok\n201\n");
    assertThat(Files.readString(output)).contains("disk I/O error");
    NODES.cluster().assertIdentical(name);
    assertThat(sqlite(db, leave)).isEqualTo("truncate\n");
    Commands.run("rm", "-rf", dir.toString());
  }

  private static String sqlite(Path db, String... statements) {
    return Commands.run("sqlite3", "-bail", db.toString(), String.join(";", statements))
        .orThrow()
        .output();
  }

  /** A shell that executes {@code statement}, and what strace does to it at its locks. */
  private static String[] traced(Path trace, String injection, Path db, String statement) {
    List<String> command = new ArrayList<>(List.of("strace", "-f", "-o", trace.toString()));
    command.addAll(List.of("-e", "trace=fcntl"));
    if (!injection.isEmpty()) {
      command.addAll(List.of("-e", "inject=fcntl:" + injection));
    }
    command.addAll(List.of("sqlite3", "-cmd", ".timeout 20000", db.toString(), statement));
    return command.toArray(String[]::new);
  }

  /** Which of the calls takes RESERVED, from 1. */
  private static int callThatReserves(String trace) {
    List<String> calls = trace.lines().filter(line -> line.contains(" fcntl(")).toList();
    for (int i = 0; i < calls.size(); i++) {
      if (calls.get(i).contains("F_WRLCK")
          && calls.get(i).contains("l_start=1073741825, l_len=1}")) {
        return i + 1;
      }
    }
    throw new AssertionError("RESERVED is not taken in " + trace);
  }
}

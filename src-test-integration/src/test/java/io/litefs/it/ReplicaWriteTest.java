package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Nothing that an application does to a replica's files changes the replica. */
class ReplicaWriteTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  static Stream<Arguments> driversAndModes() {
    return ReplicationTest.driversAndModes();
  }

  @ParameterizedTest
  @MethodSource("driversAndModes")
  void writesAreRefusedAsToAReadonlyDatabase(Driver driver, JournalMode mode) {
    String db = "refused-" + driver + "-" + mode;
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.runAll(mode.pragma(), Sql.CREATE, Sql.insert(100, 300));
      Position before = NODES.cluster().assertIdentical(db);
      try (Session session = driver.open(NODES.replica().db(db))) {
        assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("100");
        for (String statement :
            new String[] {
              "INSERT INTO t(a) VALUES (1)",
              "DELETE FROM t",
              "UPDATE t SET a = 1",
              "DROP TABLE t",
              "CREATE TABLE u(v)",
              "VACUUM"
            }) {
          assertThatThrownBy(() -> session.run(statement))
              .as(statement)
              .isInstanceOf(SqliteError.class)
              .hasMessageContaining("attempt to write a readonly database");
        }
        assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("100");
        writer.run("INSERT INTO t(a) VALUES (7)");
        NODES.cluster().sync(db);
        assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("101");
      }
      assertThat(NODES.cluster().assertIdentical(db).txid()).isEqualTo(before.txid() + 1);
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void checkpointsAndModeChangesAttemptedOnTheReplicaChangeNothing(JournalMode mode) {
    String db = "pragmas-" + mode;
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.runAll(mode.pragma(), Sql.CREATE, Sql.insert(100, 300));
      Position before = NODES.cluster().assertIdentical(db);
      for (String statement :
          new String[] {
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA journal_mode = WAL",
            "PRAGMA journal_mode = DELETE",
            "PRAGMA journal_mode = PERSIST",
            "PRAGMA locking_mode = EXCLUSIVE; SELECT count(*) FROM t",
            "PRAGMA user_version = 7",
            "PRAGMA incremental_vacuum"
          }) {
        // Each may succeed as a no-op or fail; what counts is what it leaves.
        Commands.run("sqlite3", NODES.replica().db(db).toString(), statement);
        assertThat(NODES.cluster().assertIdentical(db)).as(statement).isEqualTo(before);
      }
      writer.run(Sql.insert(10, 300));
      NODES.cluster().assertIdentical(db);
    }
    NODES.cluster().assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void fileOperationsOnTheReplicaAreRefused(JournalMode mode) {
    String db = "files-" + mode;
    Commands.run(
            "sqlite3",
            NODES.primary().db(db).toString(),
            mode.pragma() + ";" + Sql.CREATE + ";" + Sql.insert(100, 300))
        .orThrow();
    Position before = NODES.cluster().assertIdentical(db);
    String file = "'" + NODES.replica().db(db) + "'";
    for (String script :
        new String[] {
          "rm -f " + file,
          "mv " + file + " " + file + ".moved",
          "truncate -s 0 " + file,
          "echo junk >> " + file,
          "cp /etc/hostname " + file,
          "cp /etc/hostname '" + NODES.replica().db("new-" + mode) + "'",
          "sqlite3 '" + NODES.replica().db("new-" + mode) + "' 'CREATE TABLE t(a)'",
          "echo junk > '" + NODES.replica().db(db + "-journal") + "'",
          "rm '" + NODES.replica().db(db + "-pos") + "'",
          "echo junk > '" + NODES.replica().db(db + "-pos") + "'",
          "mkdir '" + NODES.replica().db("dir") + "'"
        }) {
      assertThat(Commands.shell(script).exitCode()).as(script).isNotZero();
      assertThat(NODES.cluster().assertIdentical(db)).as(script).isEqualTo(before);
    }
    assertThat(NODES.replica().db("new-" + mode)).doesNotExist();
  }
}

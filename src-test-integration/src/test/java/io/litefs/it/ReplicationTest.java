package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.LineSession;
import io.litefs.it.sqlite.Session;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What a real SQLite does on the primary can be read on two replicas, byte for byte. */
class ReplicationTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(3);

  static Stream<Arguments> driversAndModes() {
    return Stream.of(Driver.values())
        .flatMap(driver -> Stream.of(JournalMode.values()).map(mode -> Arguments.of(driver, mode)));
  }

  @ParameterizedTest
  @MethodSource("driversAndModes")
  void everyDriverCreatesWritesVacuumsAndDropsInEveryMode(Driver driver, JournalMode mode)
      throws Exception {
    Cluster cluster = NODES.cluster();
    String db = driver + "-" + mode + ".db";
    Path file = cluster.primary().db(db);
    try (Session session = driver.open(file)) {
      assertThat(session.value(mode.pragma())).isEqualTo(mode.answer());
      session.run(Sql.CREATE);
      session.run(Sql.insert(300, 200));
      cluster.assertIdentical(db);

      session.run("CREATE INDEX i ON t(a)");
      session.run("UPDATE t SET b = randomblob(300) WHERE a % 3 = 0");
      session.run("DELETE FROM t WHERE a % 2 = 0");
      cluster.assertIdentical(db);

      session.run("VACUUM");
      session.run("DROP INDEX i");
      session.run("ALTER TABLE t ADD COLUMN c");
      cluster.assertIdentical(db);
    }
    cluster.assertIdentical(db);

    Files.delete(file);
    cluster.assertDropped(db);

    try (Session session = driver.open(file)) {
      session.run("PRAGMA page_size = 8192");
      session.run(mode.pragma());
      session.run(Sql.CREATE);
      session.run(Sql.insert(50, 100));
    }
    cluster.assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void everyCommitIsOneTransaction(JournalMode mode) {
    String db = "counted-" + mode + ".db";
    try (LineSession session = LineSession.jdbc(NODES.primary().db(db))) {
      session.run(mode.pragma());
      session.run(Sql.CREATE);
      long before = NODES.primary().pos(db).txid();
      session.repeat(200, "INSERT INTO t(a, b) VALUES (?, randomblob(50))");
      assertThat(NODES.primary().pos(db).txid()).isEqualTo(before + 200);
      NODES.cluster().assertIdentical(db);
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aDatabaseThatIsOpenOnEveryNodeShowsEachCommit(JournalMode mode) {
    String db = "open-" + mode + ".db";
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.run(mode.pragma());
      writer.run(Sql.CREATE);
      Position created = NODES.cluster().sync(db);
      assertThat(created.txid()).isPositive();
      try (Session one = Driver.SHELL.open(NODES.cluster().nodes().get(1).db(db));
          Session two = Driver.SHELL.open(NODES.cluster().nodes().get(2).db(db))) {
        for (int i = 1; i <= 50; i++) {
          writer.run("INSERT INTO t(a) VALUES (" + i + ")");
          NODES.cluster().sync(db);
          assertThat(one.value("SELECT count(*), max(a) FROM t")).isEqualTo(i + "|" + i);
          assertThat(two.value("SELECT count(*), max(a) FROM t")).isEqualTo(i + "|" + i);
        }
      }
    }
  }

  @Test
  void manyDatabasesReplicateSideBySide() {
    for (int i = 0; i < 20; i++) {
      Commands.run(
              "sqlite3",
              NODES.primary().db("many-" + i).toString(),
              Sql.CREATE + ";" + Sql.insert(10 * i + 1, 100))
          .orThrow();
    }
    for (int i = 0; i < 20; i++) {
      NODES.cluster().assertIdentical("many-" + i);
    }
  }

  @Test
  void namesWithSpacesAndLettersOfOtherAlphabetsWork() {
    for (String db :
        new String[] {"with space.db", "données-β.sqlite3", ".hidden", "a=b&c%41+.db"}) {
      Commands.run(
              "sqlite3", NODES.primary().db(db).toString(), Sql.CREATE + ";" + Sql.insert(5, 100))
          .orThrow();
      NODES.cluster().assertIdentical(db);
    }
  }
}

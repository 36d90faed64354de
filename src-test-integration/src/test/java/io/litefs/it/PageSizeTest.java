package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** All page sizes, their change by VACUUM, and auto_vacuum. */
class PageSizeTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  static Stream<Arguments> sizesAndModes() {
    return IntStream.of(512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
        .boxed()
        .flatMap(
            size ->
                Stream.of(JournalMode.DELETE, JournalMode.WAL)
                    .map(mode -> Arguments.of(size, mode)));
  }

  @ParameterizedTest
  @MethodSource("sizesAndModes")
  void everyPageSizeReplicates(int size, JournalMode mode) {
    String db = "size-" + size + "-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.run("PRAGMA page_size = " + size);
      session.run(mode.pragma());
      session.run(Sql.CREATE);
      session.run(Sql.insert(100, size / 2));
      NODES.cluster().assertIdentical(db);
      session.run("UPDATE t SET b = randomblob(" + 3 * size + ") WHERE a % 10 = 0");
      session.run("DELETE FROM t WHERE a > 50");
      session.run("VACUUM");
      NODES.cluster().assertIdentical(db);
    }
    assertThat(NODES.cluster().primary().export(db).pageSize()).isEqualTo(size);
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void vacuumChangesThePageSizeOfADatabaseWithData() {
    String db = "changing";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db));
        Session reader = openLater(db, session)) {
      for (int size : new int[] {512, 65536, 1024, 16384, 4096}) {
        session.run("PRAGMA page_size = " + size);
        session.run("VACUUM");
        assertThat(session.value("PRAGMA page_size")).isEqualTo(Integer.toString(size));
        session.run("INSERT INTO t(a, b) VALUES (" + size + ", randomblob(5000))");
        NODES.cluster().assertIdentical(db);
        assertThat(reader.value("SELECT max(id) FROM t WHERE a = " + size))
            .isEqualTo(session.value("SELECT max(id) FROM t"));
        assertThat(reader.value("PRAGMA integrity_check")).isEqualTo("ok");
      }
    }
  }

  private static Session openLater(String db, Session session) {
    session.run(Sql.CREATE);
    session.run(Sql.insert(400, 700));
    NODES.cluster().sync(db);
    return Driver.SHELL.open(NODES.replica().db(db));
  }

  @Test
  void theFirstTransactionMayChangeThePageSizeOfAnEmptyDatabase() {
    String db = "empty-then-sized";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "CREATE TABLE x(a)",
          "DROP TABLE x",
          "PRAGMA page_size = 512",
          "VACUUM",
          Sql.CREATE,
          Sql.insert(10, 600));
      NODES.cluster().assertIdentical(db);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"FULL", "INCREMENTAL"})
  void autoVacuumShrinksTheReplicaToo(String kind) {
    for (JournalMode mode : JournalMode.values()) {
      String db = "auto-" + kind + "-" + mode;
      try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
        session.runAll(
            "PRAGMA auto_vacuum = " + kind, mode.pragma(), Sql.CREATE, Sql.insert(500, 1000));
        NODES.cluster().assertIdentical(db);
        session.run("DELETE FROM t WHERE a > 20");
        session.run("PRAGMA incremental_vacuum(50)");
        NODES.cluster().assertIdentical(db);
        session.run("PRAGMA incremental_vacuum");
        session.run(Sql.insert(100, 1000));
        NODES.cluster().assertIdentical(db);
      }
      NODES.cluster().assertIdentical(db);
    }
  }
}

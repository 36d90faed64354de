package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
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
}

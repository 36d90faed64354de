package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Transactions that leave neither a journal nor a sync behind. */
class UnjournaledTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @ParameterizedTest
  @ValueSource(strings = {"MEMORY", "OFF"})
  void aTransactionIsReplicatedWhileItsConnectionStaysOpen(String mode) {
    String db = "unjournaled-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(Sql.CREATE, Sql.insert(100, 500));
    }
    NODES.cluster().assertIdentical(db);
    try (Session session = Driver.SHELL.open(NODES.primary().db(db));
        Session replica = Driver.SHELL.open(NODES.replica().db(db))) {
      session.runAll("PRAGMA journal_mode = " + mode, "PRAGMA synchronous = OFF");
      for (int i = 1; i <= 20; i++) {
        session.run("INSERT INTO t(a, b) VALUES (" + (1000 + i) + ", randomblob(3000))");
        NODES.cluster().assertIdentical(db);
        assertThat(replica.value("SELECT count(*) FROM t WHERE a > 1000"))
            .isEqualTo(Integer.toString(i));
      }
    }
  }

  /** Spilled pages are in the file long before the transaction ends. */
  @ParameterizedTest
  @ValueSource(strings = {"MEMORY", "OFF"})
  void anUnfinishedTransactionIsNotReplicatedAndUndoneIfTheDaemonIsKilled(String mode) {
    String db = "killed-" + mode;
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(Sql.CREATE, Sql.insert(100, 500));
    }
    Position before = NODES.cluster().assertIdentical(db);
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "PRAGMA journal_mode = " + mode,
          "PRAGMA synchronous = OFF",
          "PRAGMA cache_size = 5",
          "BEGIN",
          "UPDATE t SET b = randomblob(700)",
          "INSERT INTO t(a, b) SELECT a + 10000, randomblob(2000) FROM t");
      assertThat(NODES.primary().pos(db)).isEqualTo(before);
      NODES.primary().kill();
    }
    NODES.primary().start();
    assertThat(NODES.cluster().assertIdentical(db)).isEqualTo(before);
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      assertThat(session.value("PRAGMA integrity_check")).isEqualTo("ok");
      assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("100");
    }
  }

  /** The file has fewer pages than its header says, or looks whole, while pages have spilled. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "INSERT INTO t(a, b) SELECT a + 10000, randomblob(2000) FROM t",
        "UPDATE t SET b = randomblob(500)"
      })
  void aCloseIsNotTheEndOfAnotherConnectionsTransaction(String statement) {
    String db = "closed-" + statement.substring(0, 6);
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(Sql.CREATE, Sql.insert(300, 500));
    }
    NODES.cluster().assertIdentical(db);
    String memory = "PRAGMA journal_mode = MEMORY";
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.runAll(memory, "PRAGMA synchronous = OFF", "PRAGMA cache_size = 5");
      Position before;
      try (Session other = Driver.SHELL.open(NODES.primary().db(db))) {
        other.runAll(memory, "INSERT INTO t(a, b) VALUES (-1, 'other')");
        before = NODES.cluster().assertIdentical(db);
        writer.runAll("BEGIN IMMEDIATE", statement);
      }
      assertThat(NODES.primary().pos(db)).isEqualTo(before);
      writer.run("COMMIT");
      assertThat(NODES.cluster().assertIdentical(db).txid()).isEqualTo(before.txid() + 1);
      assertThat(writer.value("PRAGMA integrity_check")).isEqualTo("ok");
    }
  }
}

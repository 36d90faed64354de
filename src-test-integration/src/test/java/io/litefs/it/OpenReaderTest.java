package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.nio.file.Files;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Connections that are open on the replica while the primary changes what is under them. */
class OpenReaderTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void schemaChangesReachAnOpenReader(JournalMode mode) {
    String db = "schema-" + mode;
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.runAll(mode.pragma(), Sql.CREATE, Sql.insert(50, 200));
      NODES.cluster().sync(db);
      try (Session reader = Driver.JDBC.open(NODES.replica().db(db))) {
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("50");

        writer.runAll(
            "ALTER TABLE t ADD COLUMN c DEFAULT 'x'", "INSERT INTO t(a, c) VALUES (0, 'y')");
        NODES.cluster().sync(db);
        assertThat(reader.run("SELECT c, count(*) FROM t GROUP BY c ORDER BY c"))
            .containsExactly("x|50", "y|1");

        writer.runAll(
            "CREATE TABLE u(v)", "CREATE INDEX ta ON t(a)", "INSERT INTO u SELECT a FROM t");
        NODES.cluster().sync(db);
        assertThat(reader.value("SELECT count(*) FROM u JOIN t ON v = a")).isEqualTo("51");

        writer.runAll("DROP TABLE t", "VACUUM");
        NODES.cluster().sync(db);
        assertThat(reader.value("SELECT group_concat(name) FROM sqlite_schema")).isEqualTo("u");
        assertThat(reader.value("SELECT count(*) FROM u")).isEqualTo("51");
        assertThat(reader.value("PRAGMA integrity_check")).isEqualTo("ok");
      }
      NODES.cluster().assertIdentical(db);
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void anOpenReadTransactionKeepsItsSnapshotAndReplicationGoesOnAfterIt(JournalMode mode) {
    String db = "snapshot-" + mode;
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.runAll(mode.pragma(), Sql.CREATE, Sql.insert(50, 200));
      NODES.cluster().sync(db);
      try (Session reader = Driver.SHELL.open(NODES.replica().db(db))) {
        reader.run("BEGIN");
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("50");
        for (int i = 0; i < 20; i++) {
          writer.run("INSERT INTO t(a) VALUES (" + i + ")");
          assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("50");
        }
        reader.run("COMMIT");
        NODES.cluster().sync(db);
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("70");
      }
      NODES.cluster().assertIdentical(db);
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void readersOnTheReplicaNeverSeeHalfATransaction(JournalMode mode) throws Exception {
    String db = "transfers-" + mode;
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.runAll(
          mode.pragma(),
          "PRAGMA wal_autocheckpoint = 20",
          Sql.CREATE,
          Sql.insert(200, 400),
          "UPDATE t SET a = 100");
      NODES.cluster().sync(db);
      AtomicReference<Throwable> failure = new AtomicReference<>();
      Thread[] readers = new Thread[2];
      var stop = new java.util.concurrent.atomic.AtomicBoolean();
      for (int i = 0; i < readers.length; i++) {
        Driver driver = i == 0 ? Driver.SHELL : Driver.JDBC;
        readers[i] =
            new Thread(
                () -> {
                  try (Session reader = driver.open(NODES.replica().db(db))) {
                    do {
                      assertThat(reader.value("SELECT sum(a) FROM t")).isEqualTo("20000");
                    } while (!stop.get());
                    assertThat(reader.value("PRAGMA integrity_check")).isEqualTo("ok");
                  } catch (Throwable e) {
                    failure.compareAndSet(null, e);
                  }
                });
        readers[i].start();
      }
      try {
        for (int i = 1; i <= 150; i++) {
          writer.runAll(
              "BEGIN",
              "UPDATE t SET a = a - 7 WHERE id = " + (i % 200 + 1),
              "UPDATE t SET a = a + 7 WHERE id = " + (i * 31 % 200 + 1),
              "COMMIT");
        }
        NODES.cluster().sync(db);
      } finally {
        stop.set(true);
        for (Thread reader : readers) {
          reader.join();
        }
      }
      assertThat(failure.get()).isNull();
    }
    NODES.cluster().assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aDropUnderAnOpenReaderLetsItFinishAndTheNextOpenFindsTheNewDatabase(JournalMode mode)
      throws Exception {
    String db = "dropped-" + mode;
    Commands.run(
            "sqlite3",
            NODES.primary().db(db).toString(),
            mode.pragma() + ";" + Sql.CREATE + ";" + Sql.insert(50, 200))
        .orThrow();
    NODES.cluster().sync(db);
    try (Session reader = Driver.SHELL.open(NODES.replica().db(db))) {
      assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("50");
      Files.delete(NODES.primary().db(db));
      NODES.cluster().assertDropped(db);
      Commands.run(
              "sqlite3",
              NODES.primary().db(db).toString(),
              mode.pragma() + ";" + Sql.CREATE + ";" + Sql.insert(3, 20))
          .orThrow();
      NODES.cluster().assertIdentical(db);
    }
    try (Session reader = Driver.SHELL.open(NODES.replica().db(db))) {
      assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("3");
    }
    NODES.cluster().assertIdentical(db);
  }

  /** SQLite counts only the first transaction of such a connection: where it is, nobody reads. */
  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void whatAConnectionWithExclusiveLockingWritesReachesOpenReaders(JournalMode mode) {
    String db = "exclusive-" + mode;
    String count = "SELECT count(*) FROM t";
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.runAll(
          "PRAGMA locking_mode = EXCLUSIVE", mode.pragma(), Sql.CREATE, Sql.insert(50, 200));
      NODES.cluster().sync(db);
      try (Session reader = Driver.SHELL.open(NODES.replica().db(db));
          Session idle = Driver.JDBC.open(NODES.replica().db(db))) {
        assertThat(reader.value(count)).isEqualTo("50");
        assertThat(idle.value(count)).isEqualTo("50");
        for (int i = 1; i <= 10; i++) {
          writer.run("INSERT INTO t(a, b) VALUES (" + i + ", randomblob(3000))");
          NODES.cluster().sync(db);
          assertThat(reader.value(count)).isEqualTo(String.valueOf(50 + i));
        }
        assertThat(idle.value(count)).isEqualTo("60");
        assertThat(idle.value("PRAGMA integrity_check")).isEqualTo("ok");
      }
    }
    try (Session writer = Driver.SHELL.open(NODES.primary().db(db))) {
      writer.run("INSERT INTO t(a) VALUES (1000)");
    }
    NODES.cluster().assertIdentical(db);
    if (mode != JournalMode.WAL) {
      assertThat(NODES.replica().db(db + "-wal")).doesNotExist();
    }
  }
}

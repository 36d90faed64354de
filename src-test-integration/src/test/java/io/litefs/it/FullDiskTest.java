package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.soak.SmallDisk;
import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.nio.file.Files;
import java.time.Duration;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A disk without a free byte: transactions fail, nothing else does, and all is well afterwards. */
class FullDiskTest {

  private static final int MEGABYTES = 48;

  /** One node whose data directory lies on a small disk. */
  private static final class Fixture implements AutoCloseable {
    final Node node;
    final SmallDisk disk;

    Fixture(SmallDisk.Kind kind) {
      this(Node.create("full-disk", NodeConfig.primary()), kind);
    }

    Fixture(Node node, SmallDisk.Kind kind) {
      this.node = node;
      disk = SmallDisk.mount(node.data(), kind, MEGABYTES);
      try {
        node.start();
      } catch (Throwable e) {
        close();
        throw e;
      }
    }

    @Override
    public void close() {
      node.close();
      disk.close();
      Commands.run("rm", "-rf", "--one-file-system", node.home().toString());
    }
  }

  private static void assertWhole(Node node, String db, int rows) {
    Position pos = node.pos(db);
    DatabaseImage image = node.export(db);
    assertThat(image.checksum()).isEqualTo(pos.checksum());
    for (String file : new String[] {image.file().toString(), node.db(db).toString()}) {
      assertThat(
              Commands.run("sqlite3", file, "PRAGMA integrity_check; SELECT count(*) FROM t")
                  .orThrow()
                  .output())
          .isEqualTo("ok\n" + rows + "\n");
    }
    image.delete();
  }

  /** Writes until the disk is full; returns how many rows are committed. */
  private static int writeUntilFull(Session session, int rows) {
    int committed = rows;
    try {
      while (true) {
        session.run("INSERT INTO t(a, b) VALUES (1, randomblob(20000))");
        committed++;
      }
    } catch (SqliteError e) {
      assertThat(e.getMessage()).contains("full");
    }
    return committed;
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aTransactionFailsWithSqliteFullAndTheNextSucceedsWhenThereIsSpace(JournalMode mode)
      throws Exception {
    Assumptions.assumeTrue(SmallDisk.possible(), "may mount filesystems");
    try (Fixture fixture = new Fixture(SmallDisk.Kind.EXT4);
        Session session = Driver.SHELL.open(fixture.node.db("db"))) {
      session.runAll(mode.pragma(), Sql.CREATE, Sql.insert(20, 1000));
      int rows = 20;
      for (int i = 0; i < 3; i++) {
        fixture.disk.fill();
        rows = writeUntilFull(session, rows);
        // It can be read, by old and new connections.
        assertThat(session.value("SELECT count(*) FROM t")).isEqualTo(Integer.toString(rows));
        assertThatThrownBy(() -> session.run(Sql.insert(10, 100_000)))
            .isInstanceOf(SqliteError.class)
            .hasMessageContaining("full");
        fixture.disk.free();
        Await.until(
            Duration.ofSeconds(5),
            "writes succeed when there is space again",
            () -> {
              session.run("INSERT INTO t(a, b) VALUES (2, randomblob(20000))");
              return true;
            });
        rows++;
        assertWhole(fixture.node, "db", rows);
      }
      assertThat(fixture.node.log()).contains("the disk of " + fixture.node.data() + " is full");
      Await.until("it says so", () -> fixture.node.log().contains("has space again"));
      assertThat(fixture.node.log()).doesNotContain("\n\tat ");
      assertThat(Files.exists(fixture.node.data().resolve("quarantine"))).isFalse();
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aReplicaWhoseDiskWasFullGoesOnByItself(JournalMode mode) throws Exception {
    Assumptions.assumeTrue(SmallDisk.possible(), "may mount filesystems");
    try (Node primary = Node.started("full-disk-primary", NodeConfig.primary())) {
      Node replica = Node.create("full-disk", NodeConfig.replicaOf(primary.port()));
      try (Fixture fixture = new Fixture(replica, SmallDisk.Kind.EXT4);
          Session session = Driver.SHELL.open(primary.db("db"))) {
        session.runAll(mode.pragma(), Sql.CREATE, Sql.insert(20, 1000));
        replica.awaitPos("db", primary.pos("db"));
        // Room for the file of the log, which is small, not for the pages.
        fixture.disk.fill(512 << 10);
        session.run("INSERT INTO t(a, b) VALUES (3, zeroblob(6000000))");
        Await.until("it fails", () -> replica.log().contains("cannot apply the log"));
        assertThat(replica.log()).contains("the disk of " + replica.data() + " is full");
        assertThat(
                Commands.run(
                        "sqlite3",
                        replica.db("db").toString(),
                        ".timeout 30000",
                        "SELECT count(*) FROM t")
                    .orThrow()
                    .output())
            .isEqualTo("20\n");
        fixture.disk.free();
        replica.awaitPos("db", primary.pos("db"));
        assertWhole(replica, "db", 21);
        assertThat(replica.log()).doesNotContain("asks for a snapshot");
      }
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aDaemonThatIsKilledWhileTheDiskIsFullServesEverythingAgain(JournalMode mode) {
    Assumptions.assumeTrue(SmallDisk.possible(), "may mount filesystems");
    try (Fixture fixture = new Fixture(SmallDisk.Kind.EXT4)) {
      int rows;
      Session session = Driver.SHELL.open(fixture.node.db("db"));
      try {
        session.runAll(mode.pragma(), Sql.CREATE, Sql.insert(20, 1000));
        fixture.disk.fill();
        rows = writeUntilFull(session, 20);
        fixture.node.kill();
      } finally {
        session.kill();
      }
      fixture.node.start();
      assertThat(
              Commands.run("sqlite3", fixture.node.db("db").toString(), "SELECT count(*) FROM t")
                  .orThrow()
                  .output())
          .as("on a disk that is full still")
          .isEqualTo(rows + "\n");
      fixture.disk.free();
      Await.until(
          Duration.ofSeconds(5),
          "writes succeed when there is space again",
          () ->
              Commands.run(
                          "sqlite3",
                          fixture.node.db("db").toString(),
                          "INSERT INTO t(a, b) VALUES (2, randomblob(20000))")
                      .exitCode()
                  == 0);
      assertWhole(fixture.node, "db", rows + 1);
      assertThat(fixture.node.stop()).isZero();
      fixture.node.start();
      assertWhole(fixture.node, "db", rows + 1);
    }
  }
}

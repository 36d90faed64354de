package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A database that is damaged on disk is put aside with its reason; the others are served. */
class QuarantineTest {

  private static void write(Node node, String db, String... statements) {
    try (Session session = Driver.SHELL.open(node.db(db))) {
      session.runAll(statements);
    }
  }

  private static String read(Path file, String sql) {
    return Commands.run("sqlite3", file.toString(), sql).orThrow().output().strip();
  }

  /**
   * Damages what no start can mend: a page of the database that is in no file of the log, for all
   * but the last file are gone; and the page checksums, so that the start reads the database.
   */
  private static void damage(Node node, String db) throws IOException {
    for (String file : node.ltxFiles(db).subList(0, node.ltxFiles(db).size() - 1)) {
      Files.delete(node.backing(db, "ltx").resolve(file));
    }
    Files.delete(node.backing(db, "checksums"));
    try (FileChannel file =
        FileChannel.open(node.backing(db, "database"), StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.wrap("damage".getBytes()), file.size() / 2);
    }
  }

  private static Path quarantined(Node node, String db) throws IOException {
    try (Stream<Path> all = Files.list(node.data().resolve("quarantine"))) {
      return all.filter(dir -> dir.getFileName().toString().startsWith(db + "-"))
          .findFirst()
          .orElseThrow();
    }
  }

  private static void twoDatabases(Cluster cluster) {
    for (String db : new String[] {"bad.db", "good.db"}) {
      write(cluster.primary(), db, Sql.CREATE, Sql.insert(200, 500), "INSERT INTO t(a) VALUES (7)");
      cluster.assertIdentical(db);
    }
  }

  @Test
  void thePrimaryRefusesADamagedDatabasesNameUntilAnImportAndItsReplicaKeepsTheGoodCopy()
      throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      twoDatabases(cluster);
      Position last = cluster.primary().pos("bad.db");
      cluster.primary().stop();
      damage(cluster.primary(), "bad.db");
      cluster.primary().start();
      Path kept = quarantined(cluster.primary(), "bad.db");
      assertThat(cluster.primary().log())
          .contains("database bad.db could not be recovered and is not served")
          .contains(kept.toString())
          .contains("litefs import -name bad.db FILE");
      assertThat(Files.readString(kept.resolve("README")))
          .contains("Reason: ")
          .contains("litefs import -name 'bad.db' FILE");
      assertThat(kept.resolve("database")).exists();
      assertThat(cluster.primary().metrics().get("litefs_db_quarantined", "db", "bad.db"))
          .isEqualTo(1);

      // The other one works, and replicates.
      write(cluster.primary(), "good.db", "INSERT INTO t(a) VALUES (8)");
      cluster.assertIdentical("good.db");
      // Nobody can take an empty database for the damaged one.
      for (String command :
          new String[] {"sqlite3 %s 'CREATE TABLE x(y)'", "cat %s", "echo > %s", "stat %s"}) {
        assertThat(Commands.shell(command.formatted(cluster.primary().db("bad.db"))).exitCode())
            .as(command)
            .isNotZero();
      }
      assertThat(Commands.run("cat", cluster.primary().db("bad.db").toString()).output())
          .contains("Input/output error");
      assertThat(
              Commands.shell("sqlite3 %s .tables".formatted(cluster.primary().db("bad.db")))
                  .output())
          .contains("unable to open database");
      Commands.Result export =
          Node.litefs(
              Await.LONG,
              "export",
              "-url",
              "http://127.0.0.1:" + cluster.primary().port(),
              "-name",
              "bad.db",
              kept.resolveSibling("copy.db").toString());
      assertThat(export.exitCode()).isEqualTo(1);
      assertThat(export.output().lines()).hasSize(1);
      assertThat(export.output()).contains("cannot export 'bad.db'", kept.toString(), "promote");
      assertThat(cluster.primary().backing("bad.db", "")).doesNotExist();
      assertThat(cluster.primary().log()).containsOnlyOnce("an application gets EIO");
      // The replica still has it.
      assertThat(read(cluster.replica().db("bad.db"), "SELECT count(*) FROM t")).isEqualTo("201");

      // A restart does not forget.
      cluster.primary().stop();
      cluster.primary().start();
      assertThat(Commands.run("cat", cluster.primary().db("bad.db").toString()).output())
          .contains("Input/output error");
      cluster.replica().awaitPos("good.db", cluster.primary().pos("good.db"));

      Path copy = cluster.primary().home().resolve("copy.db");
      Node.litefs(
              Await.LONG,
              "export",
              "-url",
              "http://127.0.0.1:" + cluster.replica().port(),
              "-name",
              "bad.db",
              copy.toString())
          .orThrow();
      Node.litefs(
              Await.LONG,
              "import",
              "-url",
              "http://127.0.0.1:" + cluster.primary().port(),
              "-name",
              "bad.db",
              copy.toString())
          .orThrow();
      assertThat(read(cluster.primary().db("bad.db"), "SELECT count(*) FROM t")).isEqualTo("201");
      assertThat(cluster.primary().pos("bad.db").txid()).isEqualTo(last.txid() + 1);
      write(cluster.primary(), "bad.db", "INSERT INTO t(a) VALUES (9)");
      cluster.assertIdentical("bad.db");
      // The replica followed: it was neither ahead nor did it keep an archive.
      assertThat(cluster.replica().log()).doesNotContain("diverged");
      assertThat(cluster.primary().metrics().by("litefs_db_quarantined", "db")).isEmpty();
      cluster.primary().stop();
      cluster.primary().start();
      cluster.assertIdentical("bad.db");
    }
  }

  @Test
  void aReplicaFetchesADamagedDatabaseByItself() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      twoDatabases(cluster);
      cluster.replica().stop();
      damage(cluster.replica(), "bad.db");
      cluster.replica().start();
      cluster.assertIdentical("bad.db");
      cluster.assertIdentical("good.db");
      assertThat(quarantined(cluster.replica(), "bad.db").resolve("README")).exists();
      assertThat(cluster.replica().metrics().by("litefs_db_quarantined", "db")).isEmpty();
      write(cluster.primary(), "bad.db", "INSERT INTO t(a) VALUES (9)");
      cluster.assertIdentical("bad.db");
    }
  }
}

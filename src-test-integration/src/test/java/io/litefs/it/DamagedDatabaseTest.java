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
import org.junit.jupiter.api.Test;

/**
 * A database that the disk has changed since an orderly stop: the start does not read it, and who
 * copies it must not get the damage.
 */
class DamagedDatabaseTest {

  private static final String BAD = "bad.db";
  private static final String GOOD = "good.db";

  private static void write(Node node, String db, String... statements) {
    try (Session session = Driver.SHELL.open(node.db(db))) {
      session.runAll(statements);
    }
  }

  private static void damage(Node node) throws IOException {
    try (FileChannel file =
        FileChannel.open(node.backing(BAD, "database"), StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.wrap("damage".getBytes()), file.size() / 2);
    }
  }

  private static Commands.Result litefs(Node node, String command, String... more) {
    String[] all = new String[3 + more.length];
    all[0] = command;
    all[1] = "-url";
    all[2] = "http://127.0.0.1:" + node.port();
    System.arraycopy(more, 0, all, 3, more.length);
    return Node.litefs(Await.LONG, all);
  }

  @Test
  void theOthersReachAReplicaAndItIsNamedCountedNotExportedAndMendedByAnImport() throws Exception {
    try (Cluster cluster = Cluster.start(1)) {
      Node primary = cluster.primary();
      for (String db : new String[] {BAD, GOOD}) {
        write(primary, db, Sql.CREATE, Sql.insert(200, 500), "INSERT INTO t(a) VALUES (7)");
      }
      Path sound = primary.home().resolve("sound.db");
      litefs(primary, "export", "-name", BAD, sound.toString()).orThrow();
      primary.stop();
      damage(primary);
      primary.start();
      Node replica = cluster.addReplica();

      cluster.sync(GOOD);
      write(primary, GOOD, "INSERT INTO t(a) VALUES (8)");
      cluster.sync(GOOD);
      Await.until(
          Await.LONG,
          () -> "the replica is in sync; its lag is unknown",
          () -> !litefs(replica, "status").output().contains("not in sync yet"));
      assertThat(replica.db(BAD)).doesNotExist();
      assertThat(primary.log())
          .containsOnlyOnce("ERROR database bad.db is damaged")
          .containsOnlyOnce(BAD + ": it is not sent to replica ")
          .contains("'litefs verify bad.db'", "'litefs promote'")
          .doesNotContain("POST /stream");
      Await.until(
          Await.LONG,
          () -> "the damaged page is counted",
          () -> primary.metrics().get("litefs_db_damaged_page_count", "db", BAD) == 1);
      assertThat(primary.log()).contains("bad.db: page ");
      assertThat(litefs(primary, "status").output())
          .contains("bad.db: it is damaged", "bad.db: 1 page was found without");

      Path copy = primary.home().resolve("copy.db");
      Commands.Result export = litefs(primary, "export", "-name", BAD, copy.toString());
      assertThat(export.exitCode()).isEqualTo(1);
      assertThat(export.output().lines()).hasSize(1);
      assertThat(export.output()).contains("cannot export 'bad.db'", "'litefs verify bad.db'");
      assertThat(copy).doesNotExist();
      Commands.Result verify =
          Node.litefs(
              Await.LONG,
              "verify",
              "-config",
              primary.home().resolve("litefs.yml").toString(),
              BAD);
      assertThat(verify.exitCode()).isEqualTo(1);
      assertThat(verify.output()).contains("damaged: " + primary.backing(BAD, "database"));

      litefs(primary, "import", "-name", BAD, sound.toString()).orThrow();
      cluster.assertIdentical(BAD);
      assertThat(litefs(primary, "status").output()).doesNotContain("it is damaged");
      write(primary, BAD, "INSERT INTO t(a) VALUES (9)");
      cluster.assertIdentical(BAD);
      Files.delete(sound);
    }
  }
}

package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** {@code litefs verify} finds what is damaged, and nothing else; with a daemon and without. */
class VerifyTest {

  private static Commands.Result verify(Node node, String... more) {
    String[] command = new String[3 + more.length];
    command[0] = "verify";
    command[1] = "-config";
    command[2] = node.home().resolve("litefs.yml").toString();
    System.arraycopy(more, 0, command, 3, more.length);
    return Node.litefs(Duration.ofMinutes(2), command);
  }

  private static void overwrite(Path path, long offset) throws IOException {
    try (FileChannel file = FileChannel.open(path, StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.wrap("damage".getBytes()), offset);
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void soundDatabasesAreFoundSoundAtWorkAfterAStopAndAfterAKill(JournalMode mode) throws Exception {
    try (Node node = Node.started("verify", NodeConfig.primary())) {
      try (Session session = Driver.JDBC.open(node.db("a.db"))) {
        session.runAll(mode.pragma(), Sql.CREATE, Sql.insert(500, 500));
        for (int i = 0; i < 20; i++) {
          session.run("INSERT INTO t(a, b) VALUES (" + i + ", randomblob(2000))");
        }
        String pos = node.pos("a.db").toString();
        Commands.Result atWork = verify(node);
        assertThat(atWork.exitCode()).as(atWork.output()).isZero();
        assertThat(atWork.output()).contains("a.db: sound at position " + pos);

        // A connection is open, so that the WAL is still there.
        node.kill();
        Commands.Result killed = verify(node);
        assertThat(killed.exitCode()).as(killed.output()).isZero();
        assertThat(killed.output()).contains(pos);
        Mounts.unmountIfMounted(node.mount());
      } catch (RuntimeException e) {
        // The connection cannot be closed in good order: its mount is gone.
        assertThat(node.isRunning()).as(e.toString()).isFalse();
      }
      node.start();
      String pos = node.pos("a.db").toString();
      node.stop();
      JsonNode report =
          new ObjectMapper().readTree(verify(node, "-json", "a.db").orThrow().output());
      assertThat(report.get("sound").asBoolean()).isTrue();
      JsonNode database = report.get("databases").get(0);
      assertThat(database.get("position").asText()).isEqualTo(pos);
      assertThat(database.get("pages").asLong())
          .isEqualTo(Files.size(node.backing("a.db", "database")) / 4096);
      assertThat(database.get("notes")).isEmpty();
    }
  }

  @Test
  void damagesAreNamedWithFileReasonAndRemedy() throws Exception {
    try (Node node = Node.started("verify", NodeConfig.primary())) {
      for (String db : new String[] {"a.db", "b.db"}) {
        try (Session session = Driver.SHELL.open(node.db(db))) {
          session.runAll(Sql.CREATE, Sql.insert(200, 500));
          for (int i = 0; i < 5; i++) {
            session.run("INSERT INTO t(a) VALUES (" + i + ")");
          }
        }
      }
      node.stop();
      Path ltx = node.backing("a.db", "ltx");
      String damaged = node.ltxFiles("a.db").get(3);
      overwrite(ltx.resolve(damaged), 200);
      Commands.Result file = verify(node);
      assertThat(file.exitCode()).as(file.output()).isEqualTo(1);
      assertThat(file.output())
          .contains("a.db: DAMAGED")
          .contains("damaged: " + ltx.resolve(damaged) + ": ")
          .contains("move the file elsewhere")
          .contains("b.db: sound");

      // What is advised helps: the chain has a gap then, and the database is as it was.
      Files.delete(ltx.resolve(damaged));
      Commands.Result gap = verify(node, "a.db");
      assertThat(gap.exitCode()).isEqualTo(1);
      assertThat(gap.output()).contains("are missing");
      node.start();
      assertThat(
              Commands.run("sqlite3", node.db("a.db").toString(), "SELECT count(*) FROM t")
                  .orThrow()
                  .output())
          .isEqualTo("205\n");
      node.stop();

      for (String name : node.ltxFiles("b.db").subList(0, node.ltxFiles("b.db").size() - 1)) {
        Files.delete(node.backing("b.db", "ltx").resolve(name));
      }
      Path database = node.backing("b.db", "database");
      overwrite(database, Files.size(database) / 2);
      Commands.Result pages = verify(node, "b.db");
      assertThat(pages.exitCode()).as(pages.output()).isEqualTo(1);
      assertThat(pages.output())
          .contains("damaged: " + database + ": its pages have checksum")
          .contains("litefs import -name b.db FILE");

      assertThat(verify(node, "none.db").exitCode()).isEqualTo(2);
    }
  }

  @Test
  void aDamageUnderARunningDaemonIsFoundInTheExport() throws Exception {
    try (Node node = Node.started("verify", NodeConfig.primary())) {
      try (Session session = Driver.SHELL.open(node.db("a.db"))) {
        session.runAll(Sql.CREATE, Sql.insert(200, 500));
      }
      Path database = node.backing("a.db", "database");
      overwrite(database, Files.size(database) / 2);
      Commands.Result result = verify(node);
      assertThat(result.exitCode()).as(result.output()).isEqualTo(1);
      assertThat(result.output()).contains("damaged: " + database);
    }
  }

  @Test
  void aDaemonThatDoesNotAnswerIsNoProofOfSoundness() throws Exception {
    try (Node node = Node.started("verify", NodeConfig.primary())) {
      try (Session session = Driver.SHELL.open(node.db("a.db"))) {
        session.run(Sql.CREATE);
      }
      Commands.Result result = verify(node, "-url", "http://127.0.0.1:1");
      assertThat(result.exitCode()).isEqualTo(1);
      assertThat(result.output()).contains("cannot reach http://127.0.0.1:1");
    }
  }
}

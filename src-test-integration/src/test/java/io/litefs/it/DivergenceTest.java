package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Two nodes under a static lease whose histories part, because the configuration makes the replica
 * a primary for a while. Whatever only one of them had can be read afterwards.
 */
class DivergenceTest {

  private static final String DB = "app.db";
  private static final ObjectMapper JSON = new ObjectMapper();

  private static void write(Node node, String db, String... statements) {
    try (Session session = Driver.SHELL.open(node.db(db))) {
      session.runAll(statements);
    }
  }

  private static String read(Path file, String sql) {
    return Commands.run("sqlite3", file.toString(), sql).orThrow().output().strip();
  }

  /** A replica that leaves, leads, is written to, and has come back as what it was. */
  private static void lead(Cluster cluster, String... statements) {
    Node replica = cluster.replica();
    NodeConfig following = replica.config();
    replica.stop();
    NodeConfig leading = NodeConfig.primary();
    replica.configure(leading).start();
    Await.until("the replica leads", () -> replica.info().get("isPrimary").asBoolean());
    write(replica, DB, statements);
    replica.stop();
    replica.configure(following);
  }

  private static JsonNode list(Node node) {
    try {
      return JSON.readTree(
          Node.litefs(Await.LONG, "diverged", "list", "-json", "-data-dir", node.data().toString())
              .orThrow()
              .output());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Path export(Node node, JsonNode archive) {
    Path file = node.home().resolve("diverged.db");
    Node.litefs(
            Await.LONG,
            "diverged",
            "export",
            "-config",
            node.home().resolve("litefs.yml").toString(),
            archive.get("db").asText(),
            archive.get("time").asText(),
            file.toString())
        .orThrow();
    assertThat(read(file, "PRAGMA integrity_check")).isEqualTo("ok");
    return file;
  }

  private static double divergedCount(Node node) {
    return node.metrics().get("litefs_db_diverged_count", "db", DB);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void whatAReplicaWroteAsPrimaryIsKeptWhenTheOtherWentOnToo(JournalMode mode) throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      write(cluster.primary(), DB, mode.pragma(), Sql.CREATE, Sql.insert(300, 500));
      Position common = cluster.assertIdentical(DB);
      lead(cluster, "INSERT INTO t(a) VALUES (1001)", "UPDATE t SET b = 'mine' WHERE a % 7 = 0");
      write(
          cluster.primary(),
          DB,
          Stream.of(1, 2, 3, 4, 5)
              .map(i -> "INSERT INTO t(a) VALUES (" + 2000 * i + ")")
              .toArray(String[]::new));

      cluster.replica().start();
      cluster.assertIdentical(DB);
      assertThat(divergedCount(cluster.replica())).isEqualTo(1);
      assertThat(cluster.replica().log())
          .containsOnlyOnce("has diverged: ")
          .contains("what was here is kept in");
      JsonNode archives = list(cluster.replica());
      assertThat(archives).hasSize(1);
      JsonNode archive = archives.get(0);
      assertThat(archive.get("reason").asText()).isEqualTo("OWN");
      assertThat(archive.get("agreedPosition").asText()).isEqualTo(common.toString());
      assertThat(archive.get("content").asText()).isEqualTo("DATABASE");
      Path path = Path.of(archive.get("path").asText());
      assertThat(path)
          .isEqualTo(
              cluster
                  .replica()
                  .data()
                  .resolve("diverged")
                  .resolve(DB)
                  .resolve(archive.get("time").asText()));
      assertThat(Files.readString(path.resolve("README")))
          .contains("litefs diverged export '" + DB + "' " + archive.get("time").asText())
          .contains(common.toString());
      Path exported = export(cluster.replica(), archive);
      assertThat(read(exported, "SELECT count(*) FROM t WHERE b = 'mine'")).isNotEqualTo("0");
      assertThat(read(exported, "SELECT count(*), max(a) FROM t")).isEqualTo("301|1001");
      // Both histories go on.
      write(cluster.primary(), DB, "DELETE FROM t WHERE a > 5");
      cluster.assertIdentical(DB);
      cluster.replica().stop();
      cluster.replica().start();
      cluster.assertIdentical(DB);
      assertThat(list(cluster.replica())).hasSize(1);
    }
  }

  @Test
  void aReplicaThatIsAheadKeepsWhatThePrimaryLacks() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      write(cluster.primary(), DB, Sql.CREATE, Sql.insert(100, 500));
      cluster.assertIdentical(DB);
      lead(cluster, "INSERT INTO t(a) VALUES (1001)", "INSERT INTO t(a) VALUES (1002)");
      cluster.replica().launch();
      // It lands where the primary is: below.
      Position pos = cluster.primary().pos(DB);
      Await.until(
          "the replica takes the primary's history over",
          () -> cluster.replica().pos(DB).equals(pos));
      cluster.assertIdentical(DB);
      JsonNode archive = list(cluster.replica()).get(0);
      assertThat(archive.get("reason").asText()).isEqualTo("AHEAD");
      assertThat(read(export(cluster.replica(), archive), "SELECT count(*), max(a) FROM t"))
          .isEqualTo("102|1002");
    }
  }

  @Test
  void aReplicaWithAnotherContentUnderTheSameTxidKeepsIt() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      write(cluster.primary(), DB, "PRAGMA journal_mode = WAL", Sql.CREATE, Sql.insert(100, 500));
      cluster.assertIdentical(DB);
      lead(cluster, "INSERT INTO t(a) VALUES (1001)");
      write(cluster.primary(), DB, "INSERT INTO t(a) VALUES (2002)");
      cluster.replica().launch();
      Position pos = cluster.primary().pos(DB);
      Await.until(
          "the replica takes the primary's history over",
          () -> cluster.replica().pos(DB).equals(pos));
      cluster.assertIdentical(DB);
      JsonNode archive = list(cluster.replica()).get(0);
      assertThat(archive.get("reason").asText()).isEqualTo("DIFFERENT");
      assertThat(read(export(cluster.replica(), archive), "SELECT max(a) FROM t"))
          .isEqualTo("1001");
    }
  }

  @Test
  void aFormerPrimaryThatTheOtherFollowsIsNotDivergedWhenItFallsBehindLater() throws Exception {
    try (Cluster cluster =
        Cluster.start(
            2,
            config ->
                config
                    .set("data", "retention", "200ms")
                    .set("data", "retention-monitor-interval", "100ms"))) {
      write(cluster.primary(), DB, Sql.CREATE, Sql.insert(100, 500));
      cluster.assertIdentical(DB);
      // All that the former primary had made was received, and nothing since: it agrees at once.
      Node former = cluster.primary();
      Node leader = cluster.replica();
      former.stop();
      leader.stop();
      leader.configure(retaining(NodeConfig.primary())).start();
      former.configure(retaining(NodeConfig.replicaOf(leader.port()))).start();
      Await.until("in sync", () -> former.log().contains("in sync with primary"));
      former.stop();
      outlast(leader);
      former.start();
      former.awaitPos(DB, leader.pos(DB));
      assertThat(former.log()).doesNotContain("diverged");
      assertThat(list(former)).isEmpty();
      assertThat(former.data().resolve("diverged")).doesNotExist();
    }
  }

  @Test
  void aReplicaThatOnlyFellBehindRetentionIsNotDiverged() {
    try (Cluster cluster = Cluster.start(2, DivergenceTest::retaining)) {
      write(cluster.primary(), DB, Sql.CREATE, Sql.insert(100, 500));
      cluster.assertIdentical(DB);
      cluster.replica().stop();
      outlast(cluster.primary());
      cluster.replica().start();
      cluster.assertIdentical(DB);
      assertThat(cluster.replica().log()).doesNotContain("diverged");
      assertThat(cluster.replica().data().resolve("diverged")).doesNotExist();
      assertThat(divergedCount(cluster.replica())).isZero();
    }
  }

  private static NodeConfig retaining(NodeConfig config) {
    return config
        .set("data", "retention", "200ms")
        .set("data", "retention-monitor-interval", "100ms");
  }

  /** Writes until the first of these transactions is not in the log any more. */
  private static void outlast(Node primary) {
    for (int i = 0; i < 5; i++) {
      write(primary, DB, "INSERT INTO t(a) VALUES (" + i + ")");
    }
    Await.until(
        "retention removes files",
        () -> primary.metrics().get("litefs_db_ltx_count", "db", DB) <= 1);
    write(primary, DB, "INSERT INTO t(a) VALUES (99)");
  }

  @Test
  void aDatabaseThatThePrimaryDoesNotHaveIsKept() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      write(cluster.primary(), "other.db", Sql.CREATE, Sql.insert(10, 100));
      cluster.assertIdentical("other.db");
      lead(cluster, Sql.CREATE, Sql.insert(20, 100));
      cluster.replica().start();
      Await.until(
          "the database goes",
          () -> !Files.exists(cluster.replica().db(DB)) && list(cluster.replica()).size() == 1);
      JsonNode archive = list(cluster.replica()).get(0);
      assertThat(archive.get("reason").asText()).isEqualTo("UNKNOWN_TO_PRIMARY");
      assertThat(read(export(cluster.replica(), archive), "SELECT count(*) FROM t"))
          .isEqualTo("20");
      Await.until(
          "its files go", () -> !Files.exists(cluster.replica().data().resolve("dbs").resolve(DB)));
      cluster.assertIdentical("other.db");
      // The primary may make one of that name now.
      write(cluster.primary(), DB, Sql.CREATE);
      cluster.assertIdentical(DB);
    }
  }

  @Test
  void oldArchivesGoWhenAllTogetherExceedTheBound() throws Exception {
    try (Cluster cluster =
        Cluster.start(2, config -> config.set("data", "diverged-size", "200KiB"))) {
      write(cluster.primary(), DB, Sql.CREATE, Sql.insert(100, 500));
      cluster.assertIdentical(DB);
      for (int i = 1; i <= 4; i++) {
        lead(cluster, "INSERT INTO t(a) VALUES (" + 1000 * i + ")");
        write(
            cluster.primary(), DB, "INSERT INTO t(a) VALUES (-1)", "INSERT INTO t(a) VALUES (-2)");
        cluster.replica().start();
        cluster.assertIdentical(DB);
      }
      JsonNode archives = list(cluster.replica());
      assertThat(archives.size()).isBetween(1, 3);
      JsonNode newest = archives.get(archives.size() - 1);
      assertThat(read(export(cluster.replica(), newest), "SELECT max(a) FROM t")).isEqualTo("4000");
      assertThat(cluster.replica().log()).contains("exceed data.diverged-size");
    }
  }

  @Test
  void withASizeOfZeroNothingIsKeptAndTheLogSaysSo() {
    try (Cluster cluster = Cluster.start(2, config -> config.set("data", "diverged-size", "0"))) {
      write(cluster.primary(), DB, Sql.CREATE, Sql.insert(10, 500));
      cluster.assertIdentical(DB);
      lead(cluster, "INSERT INTO t(a) VALUES (1)");
      write(cluster.primary(), DB, "INSERT INTO t(a) VALUES (2)", "INSERT INTO t(a) VALUES (3)");
      cluster.replica().start();
      cluster.assertIdentical(DB);
      assertThat(list(cluster.replica())).isEmpty();
      assertThat(cluster.replica().log()).contains("what was here is lost");
      assertThat(divergedCount(cluster.replica())).isEqualTo(1);
    }
  }

  @Test
  void aFullDiskKeepsTheSnapshotAwayUntilThereIsRoomAndTheOtherDatabasesGoOn() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      write(cluster.primary(), DB, Sql.CREATE, Sql.insert(100, 500));
      write(cluster.primary(), "zz.db", Sql.CREATE);
      cluster.assertIdentical(DB);
      cluster.assertIdentical("zz.db");
      lead(cluster, "INSERT INTO t(a) VALUES (1001)");
      write(cluster.primary(), DB, "INSERT INTO t(a) VALUES (2)", "INSERT INTO t(a) VALUES (3)");
      Path archives = Files.createDirectories(cluster.replica().data().resolve("diverged"));
      Commands.run("mount", "-t", "tmpfs", "-o", "size=32k", "none", archives.toString()).orThrow();
      Reaper.mount(archives);
      try {
        cluster.replica().launch();
        Await.until(
            "the replica says that it cannot archive",
            () -> cluster.replica().log().contains("cannot be archived in"));
        write(cluster.primary(), "zz.db", "INSERT INTO t(a) VALUES (7)");
        cluster.replica().awaitPos("zz.db", cluster.primary().pos("zz.db"));
        assertThat(read(cluster.replica().db(DB), "SELECT max(a) FROM t")).isEqualTo("1001");
        assertThat(Files.readString(cluster.replica().db(".lag")).strip()).isEqualTo("+2147483647");
        try (Stream<Path> left = Files.list(archives.resolve(DB))) {
          assertThat(left).isEmpty();
        }
      } finally {
        Commands.run("mount", "-o", "remount,size=8m", archives.toString()).orThrow();
      }
      try {
        cluster.assertIdentical(DB);
        JsonNode archive = list(cluster.replica()).get(0);
        assertThat(read(export(cluster.replica(), archive), "SELECT max(a) FROM t"))
            .isEqualTo("1001");
        cluster.replica().stop();
      } finally {
        Commands.run("umount", archives.toString()).orThrow();
        Reaper.gone(archives);
      }
    }
  }
}

package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** {@code .primary}, {@code .lag}, {@code -pos}, {@code -lock}: content, attributes, listing. */
class VirtualFilesTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  private static void write(String db) {
    Commands.run(
            "sqlite3", NODES.primary().db(db).toString(), Sql.CREATE + ";" + Sql.insert(10, 100))
        .orThrow();
    NODES.cluster().sync(db);
  }

  private static List<String> list(Path dir) throws Exception {
    try (Stream<Path> files = Files.list(dir)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void thePositionFileIsTheTextFormAndALineEndAndFollowsEachCommit() throws Exception {
    write("pos.db");
    for (Node node : NODES.cluster().nodes()) {
      Path file = node.db("pos.db-pos");
      assertThat(Files.size(file)).isEqualTo(34);
      assertThat(Files.readString(file)).matches("[0-9a-f]{16}/[0-9a-f]{16}\n");
      assertThat(Commands.run("cat", file.toString()).output()).isEqualTo(Files.readString(file));
    }
    for (int i = 0; i < 20; i++) {
      long before = NODES.primary().pos("pos.db").txid();
      Commands.run(
              "sqlite3", NODES.primary().db("pos.db").toString(), "INSERT INTO t(a) VALUES (1)")
          .orThrow();
      assertThat(NODES.primary().pos("pos.db").txid()).isEqualTo(before + 1);
      NODES.cluster().sync("pos.db");
    }
  }

  @Test
  void aReaderThatKeepsThePositionFileOpenSeesItMove() throws Exception {
    write("held.db");
    try (var file = new java.io.RandomAccessFile(NODES.primary().db("held.db-pos").toFile(), "r")) {
      byte[] before = new byte[34];
      file.readFully(before);
      Commands.run(
              "sqlite3", NODES.primary().db("held.db").toString(), "INSERT INTO t(a) VALUES (1)")
          .orThrow();
      byte[] after = new byte[34];
      file.seek(0);
      file.readFully(after);
      assertThat(new String(after))
          .isNotEqualTo(new String(before))
          .isEqualTo(NODES.primary().pos("held.db") + "\n");
    }
  }

  @Test
  void onlyAConnectedReplicaNamesItsPrimary() throws Exception {
    assertThat(NODES.primary().db(".primary")).doesNotExist();
    try (Node primary = Node.started("own-primary", NodeConfig.primary())) {
      try (Node replica = Node.started("own-replica", NodeConfig.replicaOf(primary.port()))) {
        Await.until("the replica names its primary", () -> Files.exists(replica.db(".primary")));
        assertThat(Files.readString(replica.db(".primary"))).isEqualTo("the-primary\n");
        assertThat(Files.size(replica.db(".primary"))).isEqualTo("the-primary\n".length());
        assertThat(list(replica.mount())).contains(".primary");
        primary.stop();
        Await.until(
            "the replica names no primary any more", () -> !Files.exists(replica.db(".primary")));
        assertThat(list(replica.mount())).doesNotContain(".primary");
        primary.start();
        Await.until(
            "the replica names its primary again", () -> Files.exists(replica.db(".primary")));
      }
    }
  }

  @Test
  void theLagIsZeroOnThePrimaryAndSmallOnAReplica() throws Exception {
    write("lag.db");
    assertThat(Files.readString(NODES.primary().db(".lag"))).isEqualTo("+000000000\n");
    String lag = Files.readString(NODES.replica().db(".lag"));
    assertThat(lag).matches("[+-]\\d{9}\n");
    assertThat(Long.parseLong(lag.strip())).isBetween(-1000L, 5000L);
    assertThat(Files.getLastModifiedTime(NODES.replica().db(".lag")).toMillis())
        .isCloseTo(System.currentTimeMillis(), org.assertj.core.data.Offset.offset(10_000L));
  }

  @Test
  void aReplicaThatNeverSynchronizedLagsWithoutLimit() throws Exception {
    try (Node lonely = Node.started("lonely", NodeConfig.replicaOf(Ports.free()))) {
      assertThat(Files.readString(lonely.db(".lag"))).isEqualTo("+2147483647\n");
      assertThat(lonely.db(".primary")).doesNotExist();
    }
  }

  @Test
  void theListingShowsDatabasesAndTheirFilesButNotTheHaltLock() throws Exception {
    write("listed.db");
    for (Node node : NODES.cluster().nodes()) {
      assertThat(list(node.mount()))
          .contains("listed.db", "listed.db-pos", ".lag")
          .doesNotContain("listed.db-lock", "listed.db-journal");
      assertThat(node.db("listed.db-lock")).exists().isEmptyFile();
    }
    assertThat(Commands.run("ls", "-la", NODES.replica().mount().toString()).orThrow().output())
        .contains("listed.db");
  }

  @Test
  void modesTellWhoMayWrite() throws Exception {
    write("mode.db");
    assertThat(
            PosixFilePermissions.toString(
                Files.getPosixFilePermissions(NODES.primary().db("mode.db"))))
        .isEqualTo("rw-rw-rw-");
    assertThat(
            PosixFilePermissions.toString(
                Files.getPosixFilePermissions(NODES.replica().db("mode.db"))))
        .isEqualTo("r--r--r--");
  }

  @Test
  void virtualFilesCannotBeWrittenOrRemoved() {
    write("fixed.db");
    for (String name : List.of("fixed.db-pos", ".lag")) {
      Path file = NODES.primary().db(name);
      assertThat(Commands.shell("echo x > '" + file + "'").exitCode()).isNotZero();
      assertThat(Commands.run("rm", "-f", file.toString()).exitCode()).isNotZero();
      assertThat(file).exists();
    }
  }

  @Test
  void aVanishedDatabaseTakesItsNamesAlong() throws Exception {
    write("vanishing.db");
    Files.delete(NODES.primary().db("vanishing.db"));
    NODES.cluster().assertDropped("vanishing.db");
    for (Node node : NODES.cluster().nodes()) {
      assertThat(list(node.mount()))
          .doesNotContain(
              "vanishing.db", "vanishing.db-journal", "vanishing.db-wal", "vanishing.db-shm");
    }
  }
}

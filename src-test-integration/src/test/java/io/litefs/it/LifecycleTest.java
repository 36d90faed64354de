package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Starting, stopping and being killed; and every start that cannot succeed says why in one line and
 * leaves nothing behind.
 */
class LifecycleTest {

  private static final Duration REFUSAL = Duration.ofSeconds(20);

  /** In a mount namespace of its own: a /dev with all that a JVM needs, then the command. */
  private static final String WITHOUT_FUSE =
      "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/zero c 1 5 && mknod /dev/random c 1 8 && mknod /dev/urandom c 1 9"
          + " && ln -s /proc/self/fd /dev/fd && exec \"$0\" \"$@\"";

  /** Delays each of these system calls of a node. */
  private static List<String> slowly(String calls, Duration delay) {
    return List.of(
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=" + calls,
        "-e",
        "inject=" + calls + ":delay_enter=" + TimeUnit.NANOSECONDS.toMicros(delay.toNanos()));
  }

  private static void assertRefused(Commands.Result result, String... words) {
    assertThat(result.exitCode()).as(result.output()).isNotZero();
    assertThat(result.output())
        .as("no stack trace")
        .doesNotContain("\tat ")
        .doesNotContain("Exception in thread");
    assertThat(result.output()).contains(words);
  }

  private static void assertWorks(Node node, String db) {
    Commands.run("sqlite3", node.db(db).toString(), Sql.CREATE + ";" + Sql.insert(10, 100))
        .orThrow();
    assertThat(node.export(db).checksum()).isEqualTo(node.pos(db).checksum());
  }

  /** A slow disk makes the time long between the mount and all that a start writes. */
  @Test
  void aDatabaseCanBeMadeAsSoonAsTheMountIsThere() {
    NodeConfig config = NodeConfig.primary();
    config.around = slowly("fsync,fdatasync", Duration.ofMillis(200));
    try (Node node = Node.create("first-write", config).launch()) {
      Await.until(
          Await.LONG,
          () -> "the mount is there; the log:\n" + node.log(),
          () -> Mounts.isMounted(node.mount()));
      assertWorks(node, "a.db");
    }
  }

  /** A replica asks only once. */
  @Test
  void aPrimaryThatStartsSaysWhereItsProxyIsFromItsFirstAnswerOn() {
    NodeConfig config =
        NodeConfig.primary()
            .set("proxy", "addr", "\"127.0.0.1:" + Ports.free() + '"')
            .set("proxy", "target", "\"127.0.0.1:" + Ports.free() + '"')
            .set("proxy", "db", "a.db");
    config.around = slowly("bind", Duration.ofSeconds(1));
    try (Node node = Node.create("first-answer", config).launch()) {
      List<HttpResponse<String>> answers = new ArrayList<>();
      Await.until(
          Await.LONG,
          () -> "it answers; the log:\n" + node.log(),
          () -> answers.add(node.http().get("/info")));
      assertThat(answers.get(0).headers().firstValue("Litefs-Proxy-Url")).isPresent();
    }
  }

  /** As when the daemon is restarted below an application that goes on. */
  @Test
  void whatAnApplicationMakesWhileNothingIsMountedDoesNotStandInTheWay() throws Exception {
    try (Node node = Node.started("left-below", NodeConfig.primary())) {
      assertWorks(node, "a.db");
      node.stop();
      Path dir = node.mount();
      Files.createFile(dir.resolve("a.db"));
      Files.createFile(dir.resolve("a.db-wal"));
      Files.write(dir.resolve("a.db-shm"), new byte[32768]);
      node.start();
      assertThat(node.log()).contains("removed " + dir.resolve("a.db-shm"));
      assertThat(node.pos("a.db").txid()).isEqualTo(2);
      node.stop();

      Path other = Files.createFile(dir.resolve("other.db"));
      assertRefused(node.launchAndAwaitExit(REFUSAL), "not empty (other.db)");
      Files.delete(other);
      Path content = Files.write(dir.resolve("a.db"), new byte[512]);
      Files.write(dir.resolve("a.db-shm"), new byte[32768]);
      assertRefused(node.launchAndAwaitExit(REFUSAL), "not empty (");
      assertThat(content).exists();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TERM", "INT"})
  void aSignalUnmountsEvenWhileFilesAreOpen(String signal) {
    try (Node node = Node.started("open-files", NodeConfig.primary())) {
      try (Session journal = Driver.SHELL.open(node.db("journal.db"));
          Session wal = Driver.SHELL.open(node.db("wal.db"))) {
        journal.runAll(
            Sql.CREATE, Sql.insert(100, 1000), "BEGIN IMMEDIATE", "INSERT INTO t(a) VALUES (1)");
        wal.runAll(
            "PRAGMA journal_mode = WAL",
            Sql.CREATE,
            Sql.insert(100, 1000),
            "BEGIN",
            "SELECT count(*) FROM t");
        node.signal(signal);
        int code = node.awaitExit(Duration.ofSeconds(20));
        assertThat(code).isIn(0, signal.equals("TERM") ? 143 : 130);
        assertThat(Mounts.isMounted(node.mount())).isFalse();
        assertThatThrownBy(() -> journal.run("COMMIT")).isInstanceOf(SqliteError.class);
      }
      node.start();
      for (String db : List.of("journal.db", "wal.db")) {
        assertThat(
                Commands.run(
                        "sqlite3",
                        node.db(db).toString(),
                        "PRAGMA integrity_check; SELECT count(*) FROM t")
                    .orThrow()
                    .output())
            .isEqualTo("ok\n100\n");
      }
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aKilledDaemonLeavesADeadMountThatTheNextStartCleansAndNoCommitIsLost(JournalMode mode) {
    try (Cluster cluster = Cluster.start(2)) {
      Node node = cluster.primary();
      for (int i = 1; i <= 3; i++) {
        try (Session session = Driver.SHELL.open(node.db("k.db"))) {
          session.runAll(
              mode.pragma(), "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, a, b)");
          session.run("INSERT INTO t(a, b) VALUES (" + i + ", randomblob(20000))");
          if (i == 3) {
            session.runAll("BEGIN IMMEDIATE", "UPDATE t SET a = a + 1");
          }
          Position acknowledged = node.pos("k.db");
          node.kill();
          assertThat(Mounts.isMounted(node.mount())).isTrue();
          node.start();
          assertThat(node.pos("k.db").txid()).isGreaterThanOrEqualTo(acknowledged.txid());
        }
        assertThat(
                Commands.run(
                        "sqlite3", node.db("k.db").toString(), "SELECT count(*), max(a) FROM t")
                    .orThrow()
                    .output())
            .isEqualTo(i + "|" + i + "\n");
        cluster.assertIdentical("k.db");
      }
    }
  }

  @Test
  void aKilledReplicaGoesOn() {
    try (Cluster cluster = Cluster.start(2)) {
      try (Session journal = Driver.SHELL.open(cluster.primary().db("journal.db"));
          Session wal = Driver.SHELL.open(cluster.primary().db("wal.db"))) {
        wal.run("PRAGMA journal_mode = WAL");
        journal.run(Sql.CREATE);
        wal.run(Sql.CREATE);
        for (int i = 0; i < 4; i++) {
          journal.run(Sql.insert(20, 3000));
          wal.run(Sql.insert(20, 3000));
          cluster.replica().kill();
          journal.run("UPDATE t SET a = a + 1");
          wal.run("UPDATE t SET a = a + 1");
          cluster.replica().start();
          cluster.assertIdentical("journal.db");
          cluster.assertIdentical("wal.db");
        }
      }
    }
  }

  @Test
  void aSecondDaemonOnTheSameDataDirectoryIsRefused() {
    try (Node first = Node.started("first", NodeConfig.primary());
        Node second =
            Node.create(
                "second", NodeConfig.primary().set("data", "dir", "\"" + first.data() + "\""))) {
      assertRefused(second.launchAndAwaitExit(REFUSAL), first.data().toString());
      assertThat(Mounts.isMounted(second.mount())).isFalse();
      assertWorks(first, "still.db");
    }
  }

  @Test
  void aMountPointInUseIsRefused() {
    try (Node first = Node.started("first", NodeConfig.primary());
        Node second =
            Node.create(
                "second", NodeConfig.primary().set("fuse", "dir", "\"" + first.mount() + "\""))) {
      assertRefused(second.launchAndAwaitExit(REFUSAL), first.mount().toString());
      assertThat(Mounts.isMounted(first.mount())).isTrue();
      assertWorks(first, "still.db");
    }
  }

  @Test
  void anOccupiedPortIsRefusedAndNothingStaysMounted() throws Exception {
    try (ServerSocket occupied = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        Node node =
            Node.create(
                "port",
                NodeConfig.primary()
                    .set("http", "addr", "\"127.0.0.1:" + occupied.getLocalPort() + "\""))) {
      assertRefused(node.launchAndAwaitExit(REFUSAL), Integer.toString(occupied.getLocalPort()));
      assertThat(Mounts.isMounted(node.mount())).isFalse();
    }
  }

  @Test
  void aReplicaPointedAtItselfSaysSo() {
    try (Node node = Node.create("narcissus", NodeConfig.primary())) {
      node.configure(NodeConfig.replicaOf(node.port()));
      node.launch();
      Await.until(
          REFUSAL,
          () -> "the log tells that the node points at itself:\n" + node.log(),
          () -> node.log().toLowerCase(java.util.Locale.ROOT).contains("itself"));
      if (node.isRunning()) {
        node.stop();
      }
      assertThat(node.log()).doesNotContain("\tat ");
    }
  }

  @Test
  void aMissingDeviceIsNamed() throws Exception {
    try (Node node = Node.create("no-device", NodeConfig.primary())) {
      Path config = node.home().resolve("litefs.yml");
      Files.writeString(config, node.config().yaml(node.mount(), node.data(), node.port()));
      Commands.Result result =
          Commands.run(
              REFUSAL,
              Node.launcherEnvironment(),
              List.of(
                  "unshare",
                  "-m",
                  "sh",
                  "-c",
                  WITHOUT_FUSE,
                  Node.launcher().get(0),
                  "mount",
                  "-config",
                  config.toString()));
      assertRefused(result, "/dev/fuse");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "fuse:\n  dir: [1, 2]\n",
        "fuse:\n  dri: /tmp/x\n",
        "fuse: {\n",
        "data:\n  retention: soon\n",
        "lease:\n  type: zookeeper\n",
        "http:\n  addr: nowhere\n",
        "nonsense\n",
        ""
      })
  void aConfigurationThatCannotBeUnderstoodIsRefusedWithFileAndLine(String yaml, @TempDir Path dir)
      throws Exception {
    Path file = Files.writeString(dir.resolve("litefs.yml"), yaml);
    if (yaml.isEmpty()) {
      Files.delete(file);
    }
    Commands.Result result = Node.litefs(REFUSAL, "mount", "-config", file.toString());
    assertRefused(result, file.toString());
    if (yaml.startsWith("fuse:\n  dri")) {
      assertRefused(result, file + ":2", "dri");
    }
  }

  @Test
  void aDataDirectoryThatIsAFileIsRefused(@TempDir Path dir) throws Exception {
    Path file = Files.writeString(dir.resolve("data"), "not a directory");
    try (Node node =
        Node.create("file", NodeConfig.primary().set("data", "dir", "\"" + file + "\""))) {
      assertRefused(node.launchAndAwaitExit(REFUSAL), file.toString());
      assertThat(Mounts.isMounted(node.mount())).isFalse();
    }
  }

  @Test
  void aMountPointThatHoldsFilesIsRefusedOrHiddenButNeverChanged() throws Exception {
    try (Node node = Node.create("full", NodeConfig.primary())) {
      Files.writeString(node.mount().resolve("precious"), "data");
      node.launch();
      Await.until(
          "it mounts or gives up", () -> !node.isRunning() || Mounts.isMounted(node.mount()));
      if (node.isRunning()) {
        node.stop();
      } else {
        assertRefused(new Commands.Result(1, node.log()), node.mount().toString());
      }
      assertThat(node.mount().resolve("precious")).hasContent("data");
    }
  }

  @Test
  void aNodeThatStaysUpWithoutItsMountAnswersAndLeavesTheDirectoryAlone(@TempDir Path dir)
      throws Exception {
    NodeConfig config = NodeConfig.primary().set("exit-on-error", "false");
    try (Node node = Node.started("not-mounted", config)) {
      try (Session session = Driver.SHELL.open(node.db("a.db"))) {
        session.runAll("PRAGMA journal_mode = WAL", Sql.CREATE, Sql.insert(10, 100));
      }
      Path copy = dir.resolve("a.db");
      node.http().download("/export?name=a.db", copy);
      node.stop();
      Path inTheWay = Files.writeString(node.mount().resolve("precious"), "data");
      node.launch();
      Await.until(
          Await.LONG,
          () -> "it stays up:\n" + node.log(),
          () -> node.log().contains("staying up"),
          () -> !node.isRunning());
      assertThat(node.http().get("/litefs/status").statusCode()).isEqualTo(200);
      assertThat(node.info().path("path").asText()).isEqualTo(node.mount().toString());
      var refused = node.http().post("/import?name=a.db", copy);
      assertThat(refused.statusCode()).isEqualTo(503);
      assertThat(refused.body()).contains(node.mount().toString(), "not mounted");
      assertThat(node.http().call("POST", "/halt?name=a.db&id=1").statusCode()).isEqualTo(503);
      try (Stream<Path> files = Files.list(node.mount())) {
        assertThat(files).containsExactly(inTheWay);
      }
      node.stop();
    }
  }

  @Test
  void wrongCommandsAndOptionsAreExplained() {
    assertRefused(Node.litefs(REFUSAL, "mont"), "mont");
    assertRefused(Node.litefs(REFUSAL, "mount", "-no-such-option"), "-no-such-option");
    assertRefused(Node.litefs(REFUSAL, "export", "-name", "x"), "FILE");
    assertThat(Node.litefs(REFUSAL, "--help").orThrow().output())
        .contains("mount", "export", "import", "version");
    assertThat(Node.litefs(REFUSAL, "mount", "--help").orThrow().output()).contains("config");
    assertThat(Node.litefs(REFUSAL, "version").orThrow().output()).containsPattern("\\d+\\.\\d+");
  }
}

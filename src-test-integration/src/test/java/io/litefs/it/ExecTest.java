package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The application as the daemon's child. */
class ExecTest {

  private static final Duration LIMIT = Duration.ofSeconds(30);

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 42})
  void theDaemonEndsWithItsCommandAndWithItsExitCode(int code) {
    try (Node node = Node.create("exec", NodeConfig.primary().exec("sh", "-c", "exit " + code))) {
      node.launch();
      assertThat(node.awaitExit(LIMIT)).isEqualTo(code);
      assertThat(Mounts.isMounted(node.mount())).isFalse();
    }
  }

  @Test
  void theCommandMayWriteAtOnceAndItsDataIsThereAtTheNextStart() {
    NodeConfig config = NodeConfig.primary();
    try (Node node = Node.create("exec", config)) {
      node.configure(
          NodeConfig.primary()
              .exec(
                  "sqlite3", node.db("app.db").toString(), Sql.CREATE + ";" + Sql.insert(10, 100)));
      node.launch();
      assertThat(node.awaitExit(LIMIT)).as(node.log()).isZero();
      node.configure(NodeConfig.primary()).start();
      assertThat(
              Commands.run("sqlite3", node.db("app.db").toString(), "SELECT count(*) FROM t")
                  .orThrow()
                  .output())
          .isEqualTo("10\n");
    }
  }

  @Test
  void theConfigurationsCommandRunsToo(@TempDir Path dir) {
    Path proof = dir.resolve("proof");
    try (Node node =
        Node.create(
            "exec", NodeConfig.primary().set("exec", "\"sh -c 'echo done > " + proof + "'\""))) {
      node.launch();
      assertThat(node.awaitExit(LIMIT)).as(node.log()).isZero();
      assertThat(proof).hasContent("done");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TERM", "INT", "HUP", "USR1"})
  void signalsReachTheCommand(String signal, @TempDir Path dir) {
    Path proof = dir.resolve("proof");
    String script =
        "trap 'echo "
            + signal
            + " > "
            + proof
            + "; exit 7' "
            + signal
            + "; echo ready > "
            + dir.resolve("ready")
            + "; while :; do sleep 0.05; done";
    try (Node node = Node.create("exec", NodeConfig.primary().exec("bash", "-c", script))) {
      node.launch();
      Await.until(
          LIMIT, () -> "the command runs: " + node.log(), () -> Files.exists(dir.resolve("ready")));
      node.signal(signal);
      assertThat(node.awaitExit(LIMIT)).as(node.log()).isEqualTo(7);
      assertThat(proof).hasContent(signal);
      assertThat(Mounts.isMounted(node.mount())).isFalse();
    }
  }

  @Test
  void onAReplicaTheCommandStartsOnlyWhenAllDataIsThere(@TempDir Path dir) {
    Path proof = dir.resolve("proof");
    try (Node primary = Node.started("primary", NodeConfig.primary());
        Node replica = Node.create("replica", NodeConfig.replicaOf(primary.port()))) {
      for (int i = 0; i < 5; i++) {
        Commands.run(
                "sqlite3",
                primary.db("d" + i).toString(),
                Sql.CREATE + ";" + Sql.insert(2000, 1000))
            .orThrow();
      }
      replica.configure(
          NodeConfig.replicaOf(primary.port())
              .exec(
                  "sh",
                  "-c",
                  "for i in 0 1 2 3 4; do sqlite3 '"
                      + replica.mount()
                      + "'/d$i 'SELECT count(*) FROM t'; done > "
                      + proof
                      + ".tmp 2>&1; mv "
                      + proof
                      + ".tmp "
                      + proof));
      replica.launch();
      assertThat(replica.awaitExit(LIMIT)).as(replica.log()).isZero();
      assertThat(proof).hasContent("2000\n2000\n2000\n2000\n2000");
    }
  }

  @Test
  void onAReplicaWithoutPrimaryTheCommandWaits(@TempDir Path dir) {
    Path proof = dir.resolve("proof");
    try (Node primary = Node.started("primary", NodeConfig.primary())) {
      Commands.run("sqlite3", primary.db("d").toString(), Sql.CREATE).orThrow();
      primary.stop();
      try (Node replica =
          Node.create(
              "replica", NodeConfig.replicaOf(primary.port()).exec("touch", proof.toString()))) {
        replica.start();
        assertThat(proof).doesNotExist();
        assertThat(replica.isRunning()).isTrue();
        primary.start();
        assertThat(replica.awaitExit(LIMIT)).as(replica.log()).isZero();
        assertThat(proof).exists();
      }
    }
  }

  @Test
  void aCommandThatDoesNotExistIsNamed() {
    try (Node node = Node.create("exec", NodeConfig.primary().exec("/no/such/program"))) {
      Commands.Result result = node.launchAndAwaitExit(LIMIT);
      assertThat(result.exitCode()).isNotZero();
      assertThat(result.output()).contains("/no/such/program").doesNotContain("\tat ");
      assertThat(Mounts.isMounted(node.mount())).isFalse();
    }
  }
}

package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** The commands {@code import}, {@code export} and {@code demo --check}. */
class CommandTest {

  private static final Duration LIMIT = Duration.ofSeconds(30);

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  private static String url(Node node) {
    return "http://127.0.0.1:" + node.port();
  }

  @Test
  void aDatabaseIsImportedAndExportedUnchanged(@TempDir Path dir) {
    Path source = dir.resolve("source.db");
    Commands.run("sqlite3", source.toString(), Sql.CREATE + ";" + Sql.insert(2000, 500)).orThrow();
    Node.litefs(LIMIT, "import", "-name", "a.db", "-url", url(NODES.primary()), source.toString())
        .orThrow();
    NODES.cluster().assertIdentical("a.db");
    for (Node node : NODES.cluster().nodes()) {
      Path copy = dir.resolve("copy-" + node.port() + ".db");
      Node.litefs(LIMIT, "export", "--name", "a.db", "--url", url(node), copy.toString()).orThrow();
      new DatabaseImage(source).assertSameBytes(new DatabaseImage(copy));
    }
  }

  @Test
  void failuresAreOneLineAndAnExitCode(@TempDir Path dir) throws Exception {
    Path out = dir.resolve("out.db");
    Commands.Result absent =
        Node.litefs(
            LIMIT, "export", "-name", "absent.db", "-url", url(NODES.primary()), out.toString());
    assertOneLine(absent, "absent.db");
    assertThat(out).doesNotExist();

    Path junk = Files.writeString(dir.resolve("junk"), "junk".repeat(2000));
    assertOneLine(
        Node.litefs(
            LIMIT, "import", "-name", "j.db", "-url", url(NODES.primary()), junk.toString()),
        "");
    assertThat(NODES.primary().db("j.db")).doesNotExist();

    assertOneLine(
        Node.litefs(
            LIMIT,
            "import",
            "-name",
            "j.db",
            "-url",
            url(NODES.primary()),
            dir.resolve("missing").toString()),
        "missing");
    assertOneLine(
        Node.litefs(
            LIMIT,
            "export",
            "-name",
            "a.db",
            "-url",
            "http://127.0.0.1:" + Ports.free(),
            out.toString()),
        "127.0.0.1");

    Path database = dir.resolve("d.db");
    Commands.run("sqlite3", database.toString(), Sql.CREATE).orThrow();
    assertOneLine(
        Node.litefs(
            LIMIT, "import", "-name", "d.db", "-url", url(NODES.replica()), database.toString()),
        "primary");
  }

  private static void assertOneLine(Commands.Result result, String word) {
    assertThat(result.exitCode()).as(result.output()).isNotZero();
    assertThat(result.output().strip()).isNotEmpty().doesNotContain("\n").contains(word);
  }

  @Test
  void aFailedExportLeavesThePreviousFile(@TempDir Path dir) throws Exception {
    Path out = Files.writeString(dir.resolve("out.db"), "previous");
    assertThat(
            Node.litefs(
                    LIMIT,
                    "export",
                    "-name",
                    "absent.db",
                    "-url",
                    url(NODES.primary()),
                    out.toString())
                .exitCode())
        .isNotZero();
    assertThat(out).hasContent("previous");
  }

  @Test
  void theDemoChecksItself(@TempDir Path dir) {
    java.util.List<String> command =
        new java.util.ArrayList<>(java.util.List.of("env", "-C", dir.toString()));
    command.addAll(Node.launcher());
    command.addAll(java.util.List.of("demo", "--check"));
    Commands.Result result =
        Commands.run(Duration.ofMinutes(2), Node.launcherEnvironment(), command);
    assertThat(result.exitCode()).as(result.output()).isZero();
    assertThat(result.output()).contains("p50", "p99");
    assertThat(Commands.shell("grep -c '" + dir + "' /proc/self/mountinfo").output())
        .isEqualTo("0\n");
  }
}

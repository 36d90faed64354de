package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code ./mvnw -Pdist package} and the Dockerfile make, by the script that both call. */
class DistributionTest {

  private static final long MIB = 1 << 20;

  @Test
  void theArchiveHoldsALitefsThatNeedsNoJava(@TempDir Path dir) throws Exception {
    Path root = Path.of(Node.launcher().get(0)).getParent();
    Commands.Result built =
        Commands.run(
                Duration.ofMinutes(5),
                Map.of("JAVA_HOME", System.getProperty("java.home")),
                List.of(
                    "sh",
                    root.resolve("docker/dist").toString(),
                    root.resolve("litefs-daemon/target/litefs.jar").toString(),
                    dir.resolve("out").toString()))
            .orThrow();
    String archive = built.output().strip().lines().reduce((a, b) -> b).orElseThrow();
    assertThat(archive).endsWith(".tar.gz");
    assertThat(Files.size(Path.of(archive))).isLessThan(60 * MIB);
    Path home = Files.createDirectory(dir.resolve("opt"));
    Commands.run("tar", "-xzf", archive, "-C", home.toString()).orThrow();
    String name = Path.of(archive).getFileName().toString().replace(".tar.gz", "");
    Path launcher = home.resolve(name).resolve("bin/litefs");

    // No Java on the PATH, and a JAVA_HOME that is an application's.
    Commands.Result version =
        Commands.run(
                Duration.ofMinutes(2),
                Map.of("JAVA_HOME", "/nonexistent"),
                List.of("env", "PATH=/usr/bin:/bin", launcher.toString(), "version"))
            .orThrow();
    assertThat(version.output()).startsWith("litefs ");
    assertThat(Commands.shell("ls '" + home.resolve(name) + "'/lib/litefs/*.jsa").exitCode())
        .as("the class data archive was made")
        .isZero();
    System.setProperty("litefs.launcher", launcher.toString());
    try {
      serves(home.resolve(name).resolve("share/litefs/healthcheck"));
    } finally {
      System.clearProperty("litefs.launcher");
    }
  }

  private static void serves(Path healthcheck) {
    long start = System.nanoTime();
    try (Node node = Node.started("dist", NodeConfig.primary())) {
      double seconds = (System.nanoTime() - start) / 1e9;
      String url = "http://127.0.0.1:" + node.port();
      Commands.run("sqlite3", node.db("a.db").toString(), Sql.CREATE + ";" + Sql.insert(100, 100))
          .orThrow();
      assertThat(node.pos("a.db").txid()).isEqualTo(2);
      System.out.printf(
          "distribution: %.2f s to an API that answers, resident %d MiB%n",
          seconds, node.residentBytes() / MIB);
      assertThat(node.residentBytes()).isLessThan(150 * MIB);
      // Everything that a module could be missing for.
      for (String path : List.of("/metrics", "/litefs/status", "/litefs/status.json")) {
        assertThat(node.http().get(path).statusCode()).as(path).isEqualTo(200);
      }
      assertThat(Node.litefs(Duration.ofSeconds(30), "status", "-url", url).orThrow().output())
          .contains("a.db");
      assertThat(Commands.run(healthcheck.toString(), url + "/info").exitCode()).isZero();
      assertThat(Commands.run(healthcheck.toString(), url + "/nothing").exitCode()).isEqualTo(1);
      assertThat(node.stop()).isZero();
      assertThat(Commands.run(healthcheck.toString(), url + "/info").exitCode()).isEqualTo(1);
    }
  }
}

package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the launcher runs to learn which classes belong into the archive. */
class WarmupTest {

  /** What it leaves out makes a start, or the first handoff, slower: nothing else would tell. */
  @Test
  void itGoesAllTheWayToAHandoff(@TempDir Path dir) throws Exception {
    Path root = Path.of(Node.launcher().get(0)).getParent();
    Path classes = dir.resolve("classes");
    Commands.Result result =
        Commands.run(
                Duration.ofMinutes(2),
                Map.of(),
                List.of(
                    System.getProperty("java.home") + "/bin/java",
                    "-Xmx96m",
                    "-XX:DumpLoadedClassList=" + classes,
                    "-cp",
                    root.resolve("litefs-daemon/target/litefs.jar").toString(),
                    "io.litefs.daemon.Warmup"))
            .orThrow();
    assertThat(result.output())
        .contains("handing over -> demoted", "replica -> primary")
        .doesNotContain("not complete", " WARN ", " ERROR ");
    assertThat(Files.readAllLines(classes).stream().map(line -> line.split(" ")[0]))
        .contains(
            "io/litefs/daemon/Main",
            "io/litefs/daemon/StreamHandover",
            "io/litefs/lease/ConsulLease",
            "io/litefs/lease/StaticLeaser",
            "io/litefs/store/ReplicaWal");
  }
}

package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * SQLite's own test of several processes in one database. Its processes give up after some time of
 * polling for locks, so nothing else should run.
 */
@Tag("alone")
class MptesterTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @ParameterizedTest
  @ValueSource(strings = {"config01.test", "config02.test", "multiwrite01.test", "crash01.test"})
  void mptesterPasses(String script) {
    Path sqlite = SqliteSource.directory();
    assertThat(sqlite).as("SQLite's source package can be had and built here").isNotNull();
    String db = "mptest-" + script.replace(".test", "");
    Commands.Result result =
        Commands.run(
            Duration.ofMinutes(5),
            Map.of(),
            List.of(
                "sh",
                "-c",
                "cd '"
                    + sqlite.resolve("mptest")
                    + "' && ../bin/mptester '"
                    + NODES.primary().db(db)
                    + "' "
                    + script
                    + " --timeout 240000"));
    assertThat(result.output()).contains("0 errors");
    assertThat(result.exitCode()).as(result.output()).isZero();
    NODES.cluster().assertIdentical(db);
  }
}

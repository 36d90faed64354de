package io.litefs.daemon.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class JavaCommandTest {

  @Test
  void theArgumentsOfLitefsAreReplaced() throws Exception {
    assertThat(
            JavaCommand.of(
                    List.of(
                        "/jdk/bin/java",
                        "-Xmx96m",
                        "-cp",
                        "/a b.jar",
                        "io.litefs.daemon.Main",
                        "demo",
                        "--check"))
                .with("mount", "-config", "x.yml"))
        .containsExactly(
            "/jdk/bin/java",
            "-Xmx96m",
            "-cp",
            "/a b.jar",
            "io.litefs.daemon.Main",
            "mount",
            "-config",
            "x.yml");
    assertThat(JavaCommand.of(List.of("java", "-jar", "litefs.jar", "demo")).with("mount"))
        .containsExactly("java", "-jar", "litefs.jar", "mount");
  }

  @Test
  void anotherProgramIsNotStartedAgain() {
    assertThatThrownBy(() -> JavaCommand.of(List.of("java", "Surefire")))
        .hasMessageContaining("how this process was started");
  }
}

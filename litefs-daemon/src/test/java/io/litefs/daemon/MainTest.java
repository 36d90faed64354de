package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command line from outside: what is printed where, and the exit code. */
class MainTest {

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  private int run(String... args) {
    return new Main(
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            () -> {
              throw new AssertionError("nothing is mounted here");
            })
        .run(args);
  }

  private String out() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private String err() {
    return err.toString(StandardCharsets.UTF_8);
  }

  private void assertOneErrorLine(String... words) {
    assertThat(err().lines()).hasSize(1);
    assertThat(err()).startsWith("litefs: ").contains(words);
    assertThat(out()).isEmpty();
  }

  @Test
  void helpNamesEveryCommandAndTheExitCodes() {
    assertThat(run("--help")).isZero();
    assertThat(out()).contains("mount", "import", "export", "version", "demo", "Exit codes:");
    assertThat(err()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"mount", "import", "export", "version", "demo"})
  void everyCommandExplainsItself(String command) {
    for (String option : new String[] {"--help", "-help", "-h"}) {
      out.reset();
      assertThat(run(command, option)).isZero();
      assertThat(out()).contains("litefs " + command, "Exit codes:");
    }
  }

  @Test
  void mountHelpNamesTheOptionsOfTheOriginal() {
    run("mount", "--help");
    assertThat(out())
        .contains(
            "-config", "-no-expand-env", "-skip-unmount", "-fuse.debug", "-debug", "-tracing");
  }

  @Test
  void versionIsOneLine() {
    assertThat(run("version")).isZero();
    assertThat(out()).startsWith("litefs ").contains("Java");
    assertThat(out().lines()).hasSize(1);
  }

  @Test
  void noCommandIsWrongUsage() {
    assertThat(run()).isEqualTo(2);
    assertOneErrorLine("no command", "mount", "--help");
  }

  @Test
  void anUnknownCommandIsNamed() {
    assertThat(run("mont")).isEqualTo(2);
    assertOneErrorLine("no command 'mont'; did you mean 'mount'?", "--help");
  }

  @Test
  void anUnknownCommandLikeNoOtherIsNamedAlone() {
    assertThat(run("xyzzy")).isEqualTo(2);
    assertOneErrorLine("no command 'xyzzy'; see 'litefs --help'");
  }

  @Test
  void anUnknownOptionIsNamed() {
    assertThat(run("mount", "-no-such-option")).isEqualTo(2);
    assertOneErrorLine("-no-such-option", "litefs mount --help");
    assertThat(err()).doesNotContain("no command");
  }

  @Test
  void aMissingOptionOrFileIsNamed() {
    assertThat(run("export", "x.db")).isEqualTo(2);
    assertOneErrorLine("name");
    err.reset();
    assertThat(run("export", "-name", "x.db")).isEqualTo(2);
    assertOneErrorLine("FILE");
  }

  @Test
  void aTxidThatIsNoneIsRefused() {
    assertThat(run("wait", "x.db", "12345678901234567")).isEqualTo(2);
    assertOneErrorLine("12345678901234567", "16 hex digits");
    err.reset();
    assertThat(run("wait", "x.db", "now")).isEqualTo(2);
    assertOneErrorLine("now");
  }

  @Test
  void aUrlThatIsNoneIsRefused() {
    assertThat(run("export", "-name", "x.db", "-url", "localhost:20202", "file")).isEqualTo(2);
    assertOneErrorLine("localhost:20202", "http://localhost:20202");
  }

  @Test
  void aNodeThatIsNotThereIsNamed(@TempDir Path dir) {
    Path file = dir.resolve("copy.db");
    assertThat(run("export", "-name", "x.db", "-url", "http://127.0.0.1:1", file.toString()))
        .isEqualTo(1);
    assertOneErrorLine("http://127.0.0.1:1", "connection refused", "litefs mount");
    assertThat(dir).isEmptyDirectory();
  }

  @Test
  void aFileThatIsNotThereIsNamed(@TempDir Path dir) {
    assertThat(run("import", "-name", "x.db", dir.resolve("absent").toString())).isEqualTo(1);
    assertOneErrorLine(dir.resolve("absent").toString(), "no such file");
  }

  @Test
  void stackTracesAreForDebugOnly(@TempDir Path dir) {
    assertThat(run("import", "--debug", "-name", "x.db", dir.resolve("absent").toString()))
        .isEqualTo(1);
    assertThat(err()).contains("NoSuchFileException", "\tat ");
  }
}

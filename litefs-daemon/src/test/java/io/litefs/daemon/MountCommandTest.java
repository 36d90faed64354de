package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.CommandException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** What the options of {@code mount} make of the configuration. */
class MountCommandTest {

  @TempDir Path dir;

  private static MountCommand parse(String... args) {
    return new CommandLine(new MountCommand(null, false, List.of()))
                .parseArgs(args)
                .commandSpec()
                .userObject()
            instanceof MountCommand c
        ? c
        : null;
  }

  private Path config(String yaml) throws IOException {
    return Files.writeString(dir.resolve("litefs.yml"), yaml);
  }

  @ParameterizedTest
  @ValueSource(strings = {"-config", "--config"})
  void theConfigurationMayBeNamedWithOneDashOrTwo(String option) throws Exception {
    Path file = config("fuse: {dir: /somewhere}\nlease: {type: static}\n");
    assertThat(parse(option, file.toString()).load(Map.of()).fuse().dir())
        .isEqualTo(Path.of("/somewhere"));
    assertThat(parse(option + "=" + file).load(Map.of()).fuse().dir())
        .isEqualTo(Path.of("/somewhere"));
  }

  @Test
  void booleanOptionsTakeTheGoForm() {
    assertThat(parse("-no-expand-env", "-fuse.debug", "-debug", "-tracing", "-skip-unmount"))
        .matches(c -> c.noExpandEnv && c.fuseDebug && c.common.debug && c.tracing && c.skipUnmount);
    assertThat(parse("-no-expand-env=false", "--debug=false").noExpandEnv).isFalse();
    assertThat(parse("-debug", "dir").dir).isEqualTo(Path.of("dir"));
  }

  @Test
  void aDirectoryAloneNeedsNoConfiguration() throws Exception {
    LitefsConfig config = parse(dir.resolve("mnt").toString()).load(Map.of("HOME", dir.toString()));
    assertThat(config.fuse().dir()).isEqualTo(dir.resolve("mnt"));
    assertThat(config.data().dir()).isEqualTo(dir.resolve("mnt.litefs"));
    assertThat(config.lease().candidate()).isTrue();
  }

  @Test
  void aDirectoryOverridesThatOfTheConfiguration() throws Exception {
    Path file = config("fuse: {dir: /somewhere}\ndata: {dir: /data}\nlease: {type: static}\n");
    LitefsConfig config =
        parse("-config", file.toString(), dir.resolve("mnt").toString()).load(Map.of());
    assertThat(config.fuse().dir()).isEqualTo(dir.resolve("mnt"));
    assertThat(config.data().dir()).isEqualTo(Path.of("/data"));
  }

  @Test
  void variablesAreExpandedUnlessToldOtherwise() throws Exception {
    Path file = config("fuse: {dir: /mnt/$NAME}\nlease: {type: static}\n");
    assertThat(parse("-config", file.toString()).load(Map.of("NAME", "x")).fuse().dir())
        .isEqualTo(Path.of("/mnt/x"));
    assertThat(
            parse("-no-expand-env", "-config", file.toString())
                .load(Map.of("NAME", "x"))
                .fuse()
                .dir())
        .isEqualTo(Path.of("/mnt/$NAME"));
  }

  @Test
  void aWrongConfigurationIsWrongUsage() throws Exception {
    Path file = config("fuse:\n  dri: /x\n");
    assertThatThrownBy(() -> parse("-config", file.toString()).load(Map.of()))
        .isInstanceOfSatisfying(CommandException.class, e -> assertThat(e.exitCode()).isEqualTo(2))
        .hasMessageContainingAll(file + ":2", "dri");
  }

  @Test
  void theCommandAfterTheDashesReplacesExec() throws Exception {
    LitefsConfig config =
        parse("-config", config("exec: one\nlease: {type: static}\n").toString()).load(Map.of());
    assertThat(new MountCommand(null, true, List.of("two", "a b")).commands(config))
        .containsExactly(List.of("two", "a b"));
    assertThat(new MountCommand(null, false, List.of()).commands(config))
        .containsExactly(List.of("one"));
    assertThatThrownBy(() -> new MountCommand(null, true, List.of()).commands(config))
        .hasMessageContaining("no command after '--'");
  }

  @Test
  void commandsForCandidatesRunOnCandidatesOnly() throws Exception {
    String exec = "exec:\n  - cmd: \"migrate 'my db'\"\n    if-candidate: true\n  - cmd: app\n";
    LitefsConfig candidate =
        parse("-config", config(exec + "lease: {type: static}\n").toString()).load(Map.of());
    assertThat(parse().commands(candidate))
        .containsExactly(List.of("migrate", "my db"), List.of("app"));
    LitefsConfig other =
        parse(
                "-config",
                config(
                        exec
                            + "lease: {type: static, candidate: false, advertise-url: 'http://p:1'}\n")
                    .toString())
            .load(Map.of());
    assertThat(parse().commands(other)).containsExactly(List.of("app"));
  }

  @Test
  void aCommandWithAnOpenQuoteIsRefused() throws Exception {
    LitefsConfig config =
        parse("-config", config("exec: \"app 'x\"\nlease: {type: static}\n").toString())
            .load(Map.of());
    assertThatThrownBy(() -> parse().commands(config)).hasMessageContainingAll("app 'x", "quote");
  }

  @ParameterizedTest
  @ValueSource(strings = {"lease: {type: static}\nbackup: {type: file, path: /b}\n"})
  void whatThisVersionLacksIsRefusedRatherThanIgnored(String yaml) throws Exception {
    LitefsConfig config = parse("-config", config(yaml).toString()).load(Map.of());
    assertThatThrownBy(() -> Unavailable.refuse(config))
        .isInstanceOf(CommandException.class)
        .hasMessageContaining("not part of version");
  }
}

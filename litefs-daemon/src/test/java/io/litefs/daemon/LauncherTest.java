package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The launcher script as it is installed, with a Java runtime that only tells how it was called.
 */
class LauncherTest {

  private static final Path LAUNCHER = Path.of("..", "litefs");

  /** Prints its pid and arguments; when asked for an archive, writes one. */
  private static final String JAVA =
      """
      #!/bin/sh
      for word in "$@"; do
        case $word in
          -XX:DumpLoadedClassList=*) echo classes >"${word#*=}"; exit 0 ;;
          -Xshare:dump) dump=yes ;;
          -XX:SharedArchiveFile=*) [ -z "${dump:-}" ] || { echo archive >"${word#*=}"; exit "${FAKE_DUMP:-0}"; } ;;
        esac
      done
      [ -z "${dump:-}" ] || exit 1
      echo "pid $$"
      for word in "$@"; do echo "$word"; done
      """;

  @TempDir Path temp;

  private Path installed;
  private Path jdk;
  private final Map<String, String> environment = new HashMap<>();

  @BeforeEach
  void install() throws IOException {
    installed = Files.createDirectory(temp.resolve("with blank")).resolve("litefs");
    Files.copy(LAUNCHER, installed);
    Files.setPosixFilePermissions(installed, PosixFilePermissions.fromString("rwxr-xr-x"));
    Files.writeString(installed.resolveSibling("litefs.jar"), "jar");
    jdk = jdk("17.0.15");
    environment.put("JAVA_HOME", jdk.toString());
  }

  private Path jdk(String version) throws IOException {
    Path home = temp.resolve("jdk-" + version);
    Files.createDirectories(home.resolve("bin"));
    Files.createDirectories(home.resolve("lib"));
    Files.writeString(home.resolve("lib/modules"), "modules");
    Files.writeString(
        home.resolve("release"),
        "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"" + version + "\"\nOS_NAME=\"Linux\"\n");
    Path java = Files.writeString(home.resolve("bin/java"), JAVA);
    Files.setPosixFilePermissions(java, PosixFilePermissions.fromString("rwxr-xr-x"));
    return home;
  }

  private record Result(int exitCode, List<String> out, String err, long pid) {}

  private Result run(String... arguments) throws IOException, InterruptedException {
    List<String> command = new java.util.ArrayList<>(List.of(installed.toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().clear();
    builder.environment().put("PATH", "/usr/bin:/bin");
    builder.environment().putAll(environment);
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Result(process.waitFor(), out.lines().toList(), err, process.pid());
  }

  private List<Path> archives() throws IOException {
    try (var files = Files.list(installed.getParent())) {
      return files.filter(file -> file.toString().endsWith(".jsa")).toList();
    }
  }

  @Test
  void theProcessBecomesTheJvmWithTheArgumentsAsTheyAre() throws Exception {
    Result result = run("mount", "-config", "a b.yml", "--", "sh", "-c", "echo '$x'");
    assertThat(result.exitCode()).isZero();
    assertThat(result.err()).isEmpty();
    assertThat(result.out())
        .startsWith("pid " + result.pid())
        .contains("-XX:+UseSerialGC")
        .endsWith(
            "-cp",
            installed.resolveSibling("litefs.jar").toString(),
            "io.litefs.daemon.Main",
            "mount",
            "-config",
            "a b.yml",
            "--",
            "sh",
            "-c",
            "echo '$x'");
  }

  @Test
  void theArchiveIsMadeOnceAndAgainForAnotherJarOrRuntime() throws Exception {
    run("version");
    List<Path> first = archives();
    assertThat(first).hasSize(1);
    assertThat(run("version").out()).contains("-XX:SharedArchiveFile=" + first.get(0));
    assertThat(archives()).isEqualTo(first);

    Files.writeString(installed.resolveSibling("litefs.jar"), "another jar");
    run("version");
    assertThat(archives()).hasSize(1).isNotEqualTo(first);

    environment.put("JAVA_HOME", jdk("25.0.3").toString());
    assertThat(run("version").out()).contains("--sun-misc-unsafe-memory-access=allow");
    assertThat(archives()).hasSize(2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"17.0.12", "17.0.15", "21.0.4", "21.0.10.1", "23", "25.0.3", "100"})
  void memoryGoesBackWhereTheJvmCan(String version) throws Exception {
    environment.put("JAVA_HOME", jdk(version).toString());
    assertThat(run("version").out()).contains("-XX:TrimNativeHeapInterval=10000");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"17", "17.0.9", "17.0.8.1", "17.0.11", "20.0.2", "21", "21.0.3", "22.0.2"})
  void anOptionThatTheJvmDoesNotKnowIsNotGiven(String version) throws Exception {
    environment.put("JAVA_HOME", jdk(version).toString());
    assertThat(run("version").out())
        .endsWith("version")
        .noneMatch(word -> word.contains("TrimNativeHeap"));
  }

  @Test
  void aStartDoesNotNeedTheArchive() throws Exception {
    environment.put("LITEFS_CACHE_DIR", "/dev/null/nowhere");
    Result result = run("version");
    assertThat(result.exitCode()).isZero();
    assertThat(result.err()).isEmpty();
    assertThat(result.out())
        .endsWith("version")
        .noneMatch(word -> word.startsWith("-XX:SharedArchiveFile"));
  }

  @Test
  void itWorksThroughALink() throws Exception {
    Path target = installed;
    installed = Files.createSymbolicLink(temp.resolve("link"), target);
    assertThat(run("version").out()).contains(target.resolveSibling("litefs.jar").toString());
  }

  @Test
  void anOldRuntimeIsRefused() throws Exception {
    for (String version : List.of("11.0.2", "1.8.0_401")) {
      environment.put("JAVA_HOME", jdk(version).toString());
      Result result = run("version");
      assertThat(result.exitCode()).isEqualTo(1);
      assertThat(result.err().lines()).hasSize(1);
      assertThat(result.err()).startsWith("litefs: JAVA_HOME").contains("17 or newer");
    }
  }

  @Test
  void aRuntimeOnThePathIsFoundThroughLinks() throws Exception {
    environment.remove("JAVA_HOME");
    Path bin = Files.createDirectory(temp.resolve("bin"));
    Files.createSymbolicLink(bin.resolve("java"), jdk.resolve("bin/java"));
    environment.put("PATH", bin + ":/usr/bin:/bin");
    assertThat(run("version").out()).endsWith("version");
    assertThat(archives()).hasSize(1);
  }

  @Test
  void aMissingJarIsNamed() throws Exception {
    Files.delete(installed.resolveSibling("litefs.jar"));
    Result result = run("version");
    assertThat(result.exitCode()).isEqualTo(1);
    assertThat(result.err()).contains("litefs.jar");
  }

  @Test
  void optionsForTheJvmMayBeAdded() throws Exception {
    environment.put("LITEFS_JAVA_OPTS", "-Xmx1g -Dx=y");
    assertThat(run("version").out())
        .containsSubsequence("-Xmx96m", "-Xmx1g", "-Dx=y", "io.litefs.daemon.Main");
  }
}

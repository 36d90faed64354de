package io.litefs.it;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Runs a command to its end and keeps what it printed. */
public final class Commands {

  private Commands() {}

  /** How a command ended; {@code output} is standard output and standard error as they came. */
  public record Result(int exitCode, String output) {
    public Result orThrow() {
      if (exitCode != 0) {
        throw new AssertionError("exit code " + exitCode + ": " + output);
      }
      return this;
    }
  }

  public static Result run(String... command) {
    return run(Await.LONG, Map.of(), List.of(command));
  }

  /** Runs a line of shell script. */
  public static Result shell(String script) {
    return run("sh", "-c", script);
  }

  /**
   * @throws AssertionError if the command has not ended after {@code limit}; it is killed then
   */
  public static Result run(Duration limit, Map<String, String> environment, List<String> command) {
    try {
      File output = File.createTempFile("litefs-it-", ".out");
      try {
        ProcessBuilder builder =
            new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output);
        builder.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
        builder.environment().putAll(environment);
        Process process = builder.start();
        Reaper.process(process.pid());
        boolean ended = process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS);
        if (!ended) {
          process.descendants().forEach(ProcessHandle::destroyForcibly);
          process.destroyForcibly();
        }
        Reaper.processGone(process.pid());
        String text = Files.readString(output.toPath(), StandardCharsets.UTF_8);
        if (!ended) {
          throw new AssertionError("still running after " + limit + ": " + command + "\n" + text);
        }
        return new Result(process.exitValue(), text);
      } finally {
        Files.deleteIfExists(output.toPath());
      }
    } catch (IOException e) {
      throw new AssertionError("cannot run " + command, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted while running " + command, e);
    }
  }

  public static boolean installed(String tool) {
    return run("sh", "-c", "command -v " + tool).exitCode() == 0;
  }

  /** Directory for whatever a test leaves behind; removed by the reaper at the end of the run. */
  public static Path workDirectory(String name) {
    try {
      String root = System.getProperty("litefs.it.dir", "");
      Path dir =
          root.isEmpty()
              ? Files.createTempDirectory("litefs-it-" + name)
              : Files.createTempDirectory(Path.of(root), "litefs-it-" + name);
      Reaper.tree(dir);
      return dir;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}

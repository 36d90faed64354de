package io.litefs.it;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Programs of SQLite's own source tree, built once by {@code tools/sqlite-source}. */
public final class SqliteSource {

  private SqliteSource() {}

  /** The module's folder in the checkout. */
  public static Path module() {
    for (Path dir = Path.of("").toAbsolutePath(); dir != null; dir = dir.getParent()) {
      for (Path candidate : List.of(dir, dir.resolve("src-test-integration"))) {
        if (Files.isRegularFile(candidate.resolve("tools/sqlite-source"))) {
          return candidate;
        }
      }
    }
    throw new AssertionError("not inside the checkout: " + Path.of("").toAbsolutePath());
  }

  /**
   * Folder with {@code bin/speedtest1}, {@code bin/mptester} and {@code mptest/}, or null where the
   * source cannot be had.
   */
  public static synchronized Path directory() {
    Path dir = module().resolve("target/sqlite");
    Commands.Result result =
        Commands.run(
            Duration.ofMinutes(5),
            Map.of(),
            List.of(module().resolve("tools/sqlite-source").toString(), dir.toString()));
    if (result.exitCode() != 0) {
      System.err.println(result.output().strip());
      return null;
    }
    return dir;
  }
}

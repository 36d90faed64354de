package io.litefs.it.bench;

import io.litefs.it.Commands;
import io.litefs.it.SqliteSource;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The measuring programs: {@code sqlbench}, compiled from {@code src/main/c}, and SQLite's own
 * {@code speedtest1}.
 */
final class SqlBench {

  private static final Duration LIMIT = Duration.ofMinutes(10);
  private static final Pattern TOTAL = Pattern.compile("TOTAL\\.+\\s+(\\d+\\.\\d+)s");

  private final Path program;

  SqlBench() {
    Path module = SqliteSource.module();
    program = module.resolve("target/sqlbench");
    Commands.Result result =
        Commands.run(
            "gcc",
            "-O2",
            "-o",
            program.toString(),
            module.resolve("src/main/c/sqlbench.c").toString(),
            "-lsqlite3");
    if (result.exitCode() != 0) {
      throw new IllegalStateException(
          "needs gcc and SQLite's headers (libsqlite3-dev): " + result.output());
    }
  }

  private String run(List<String> command) {
    return Commands.run(LIMIT, Map.of(), command).orThrow().output().strip();
  }

  private String run(String workload, Path db, List<String> arguments, String... pragmas) {
    List<String> command = new ArrayList<>(List.of(program.toString(), workload, db.toString()));
    command.addAll(arguments);
    command.addAll(List.of(pragmas));
    return run(command);
  }

  void fill(Path db, int rows, int bytes, String... pragmas) {
    run("fill", db, List.of(Integer.toString(rows), Integer.toString(bytes)), pragmas);
  }

  /** SELECTs per second. */
  double select(Path db, int count, String... pragmas) {
    return Double.parseDouble(run("select", db, List.of(Integer.toString(count)), pragmas));
  }

  /** INSERTs per second. */
  double insert(Path db, int count, String... pragmas) {
    return Double.parseDouble(run("insert", db, List.of(Integer.toString(count)), pragmas));
  }

  /** Median microseconds of a one-page UPDATE. */
  double update(Path db, long count, String... pragmas) {
    return Double.parseDouble(run("update", db, List.of(Long.toString(count)), pragmas));
  }

  /** Median and 99th percentile, in microseconds, from commit to visible at {@code other}. */
  double[] lag(Path db, int count, Path other, String... pragmas) {
    String[] both =
        run("lag", db, List.of(Integer.toString(count), other.toString()), pragmas).split(" ");
    return new double[] {Double.parseDouble(both[0]), Double.parseDouble(both[1])};
  }

  /**
   * Seconds in all that {@code speedtest1 --size 25} takes on a new database; NaN where SQLite's
   * source cannot be had.
   */
  double speedtest1(Path db, String journal) {
    Path sqlite = SqliteSource.directory();
    if (sqlite == null) {
      return Double.NaN;
    }
    String output =
        run(
            List.of(
                sqlite.resolve("bin/speedtest1").toString(),
                "--size",
                "25",
                "--journal",
                journal,
                db.toString()));
    Matcher total = TOTAL.matcher(output);
    if (!total.find()) {
      throw new IllegalStateException("no total in: " + output);
    }
    return Double.parseDouble(total.group(1));
  }
}

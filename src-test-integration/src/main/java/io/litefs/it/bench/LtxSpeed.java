package io.litefs.it.bench;

import io.litefs.it.bench.ltx.ChecksumBenchmark;
import io.litefs.it.bench.ltx.LtxBenchmark;
import java.util.List;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/** The micro-benchmarks of the LTX code as rows of the table. */
final class LtxSpeed {

  private static final int PAGE_BYTES = 4096;
  private static final int PAGES = 1000;

  private LtxSpeed() {}

  static void measure(Table table) {
    row(table, "page checksum", 3, PAGE_BYTES, ChecksumBenchmark.class.getName() + ".direct");
    for (String what : List.of("encode", "decode")) {
      row(
          table,
          "LTX " + what + ", plain",
          1.5,
          PAGES * PAGE_BYTES / 1e3, // Microseconds.
          LtxBenchmark.class.getName() + "." + what);
    }
  }

  /**
   * @param bytes per unit of time that the benchmark reports, for GB/s
   */
  private static void row(Table table, String what, double target, double bytes, String benchmark) {
    try {
      RunResult result =
          new Runner(
                  new OptionsBuilder()
                      .include(benchmark + "$")
                      .param("pages", Integer.toString(PAGES))
                      .param("compressed", "false")
                      .verbosity(VerboseMode.SILENT)
                      .build())
              .runSingle();
      Samples samples = new Samples();
      samples.add(bytes / result.getPrimaryResult().getScore());
      table.add(
          new Table.Row(
              what,
              "%.1f GB/s",
              null,
              List.of(samples),
              ">= " + target + " GB/s",
              row -> row.litefs().median() >= target));
    } catch (RunnerException e) {
      throw new IllegalStateException(e);
    }
  }
}

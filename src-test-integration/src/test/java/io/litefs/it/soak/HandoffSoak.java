package io.litefs.it.soak;

import io.litefs.it.Commands;
import io.litefs.it.ElectedCluster;
import io.litefs.it.Node;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Rounds in which the lease changes hands, again and again and at random moments, while
 * applications write to the same databases on both nodes and are refused on one; writers and nodes
 * are killed meanwhile. After each, every acknowledged transaction must be there, on both.
 *
 * <pre>
 *   -Dlitefs.handoffs.seed=N         printed if it is chosen here
 *   -Dlitefs.handoffs.minutes=N      end after so long
 *   -Dlitefs.handoffs.keep-going=true  after a failure, go on with new nodes
 *   -Dlitefs.handoffs.evidence=DIR   where the evidence of failures is kept (default: /tmp/litefs-handoffs)
 * </pre>
 *
 * <p>The same seed makes the same scripts, faults and pauses; the moment within an operation at
 * which one strikes remains the machine's.
 */
final class HandoffSoak {

  /**
   * How it went.
   *
   * @param handoffs those that succeeded
   */
  record Result(long seed, int rounds, int handoffs, long acknowledged, List<String> failures) {}

  private static final int ROUNDS_PER_LIFE = 60;

  private final PrintStream out;
  private final long deadline;
  private final long seed;
  private final boolean keepGoing;
  private final Path evidence;

  private HandoffSoak(PrintStream out, Duration limit) {
    Integer minutes = Integer.getInteger("litefs.handoffs.minutes");
    this.out = out;
    this.deadline =
        System.nanoTime() + (minutes == null ? limit : Duration.ofMinutes(minutes)).toNanos();
    this.seed = Long.getLong("litefs.handoffs.seed", new Random().nextInt(1_000_000_000));
    this.keepGoing = Boolean.getBoolean("litefs.handoffs.keep-going");
    this.evidence = Path.of(System.getProperty("litefs.handoffs.evidence", "/tmp/litefs-handoffs"));
  }

  /** Runs as the system properties say, for {@code limit} if they do not say how long. */
  static Result run(PrintStream out, Duration limit) {
    return new HandoffSoak(out, limit).run();
  }

  private Result run() {
    out.println("handoffs: seed " + seed + " (-Dlitefs.handoffs.seed=" + seed + ")");
    List<String> failures = new ArrayList<>();
    int rounds = 0;
    int handoffs = 0;
    long acknowledged = 0;
    while (more() && (failures.isEmpty() || keepGoing)) {
      Random random = new Random(seed * 1_000_003L + rounds);
      boolean synchronous = random.nextBoolean();
      Path dir = Commands.workDirectory("handoffs");
      List<String> history = new ArrayList<>();
      try (ElectedCluster cluster = start(synchronous)) {
        try {
          HandoffRound.Life life = new HandoffRound.Life(cluster, synchronous, dir, history);
          life.create();
          for (int i = 0; i < ROUNDS_PER_LIFE && more(); i++) {
            long start = System.nanoTime();
            HandoffRound round = new HandoffRound(life, ++rounds, random);
            round.run();
            handoffs += round.handoffs();
            acknowledged += round.acknowledged();
            out.printf(
                Locale.ROOT,
                "round %d: %s, %d handoffs, %d acknowledged, %.1f s%n",
                rounds,
                round,
                round.handoffs(),
                round.acknowledged(),
                (System.nanoTime() - start) / 1e9);
          }
        } catch (AssertionError | RuntimeException e) {
          Path kept = evidence.resolve(seed + "-" + rounds);
          failures.add("FAILED in round " + rounds + " of seed " + seed + ": " + e);
          out.println(failures.get(failures.size() - 1) + "\nevidence: " + kept);
          history.forEach(out::println);
          List<Node> nodes = List.of(cluster.node(0), cluster.node(1));
          Evidence.keep(kept, String.join("\n", history) + "\n", dir, nodes);
        }
      } finally {
        Commands.run("rm", "-rf", dir.toString());
      }
    }
    out.printf(
        "handoffs: seed %d, %d rounds, %d handoffs, %d transactions acknowledged, %d failures%n",
        seed, rounds, handoffs, acknowledged, failures.size());
    return new Result(seed, rounds, handoffs, acknowledged, failures);
  }

  private boolean more() {
    return System.nanoTime() < deadline;
  }

  private static ElectedCluster start(boolean synchronous) {
    return ElectedCluster.started(
        2,
        config -> {
          if (synchronous) {
            config.set("lease", "sync-replicas", "1");
            config.set("lease", "sync-timeout", "5s");
            config.set("lease", "on-timeout", "fail");
          }
          return config;
        });
  }
}

package io.litefs.it.soak;

import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/**
 * Runs rounds of random faults against a primary and a replica until one of them shows that
 * something was lost, or the time is up.
 *
 * <pre>
 *   -Dlitefs.soak.seed=N         the seed; printed if it is chosen here
 *   -Dlitefs.soak.rounds=N       end after so many rounds (default: no limit)
 *   -Dlitefs.soak.minutes=N      end after so long (default: 60)
 *   -Dlitefs.soak.keep-going=true  after a failure, go on with new nodes
 *   -Dlitefs.soak.disk=KIND      of the data directories: tmpfs, ext4, or none (no full disks then)
 *   -Dlitefs.soak.evidence=DIR   where the evidence of failures is kept (default: /tmp/litefs-soak)
 *   -Dlitefs.soak.first=N        skip the rounds before, on new nodes
 * </pre>
 *
 * <p>The same seed makes the same faults, scripts and pauses; the moment within an operation at
 * which a fault strikes remains the machine's.
 */
public final class Soak {

  /** How it went. */
  public record Result(long seed, int rounds, long acknowledged, List<String> failures) {}

  private static final int ROUNDS_PER_LIFE = 150;

  private final long seed;
  private final int first;
  private final long maxRounds;
  private final Duration limit;
  private final boolean keepGoing;
  private final SmallDisk.Kind disk;
  private final Path evidence;
  private final PrintStream out;

  private Soak(PrintStream out, Duration limit) {
    this.out = out;
    this.limit = limit;
    this.seed = Long.getLong("litefs.soak.seed", new Random().nextInt(1_000_000_000));
    this.first = Integer.getInteger("litefs.soak.first", 1);
    this.maxRounds = Long.getLong("litefs.soak.rounds", Integer.MAX_VALUE);
    this.keepGoing = Boolean.getBoolean("litefs.soak.keep-going");
    String kind = System.getProperty("litefs.soak.disk", "tmpfs").toUpperCase(Locale.ROOT);
    this.disk = kind.equals("NONE") || !SmallDisk.possible() ? null : SmallDisk.Kind.valueOf(kind);
    this.evidence = Path.of(System.getProperty("litefs.soak.evidence", "/tmp/litefs-soak"));
  }

  /** Runs as the system properties say, for {@code limit} if they do not say how long. */
  public static Result run(PrintStream out, Duration limit) {
    Integer minutes = Integer.getInteger("litefs.soak.minutes");
    return new Soak(out, minutes == null ? limit : Duration.ofMinutes(minutes)).run();
  }

  public static void main(String[] arguments) {
    Result result = run(System.out, Duration.ofMinutes(60));
    System.exit(result.failures().isEmpty() ? 0 : 1);
  }

  private Result run() {
    long deadline = System.nanoTime() + limit.toNanos();
    out.println(
        "soak: seed "
            + seed
            + " (-Dlitefs.soak.seed="
            + seed
            + "), "
            + (disk == null ? "no disks to fill" : "data on " + disk));
    List<String> failures = new ArrayList<>();
    Map<Fault, Integer> faults = new EnumMap<>(Fault.class);
    long acknowledged = 0;
    int number = first;
    int rounds = 0;
    while (more(rounds, deadline) && (failures.isEmpty() || keepGoing)) {
      Life life = null;
      try {
        life = new Life(random(number, 1), disk);
        for (int i = 0; i < ROUNDS_PER_LIFE && more(rounds, deadline); i++) {
          long start = System.nanoTime();
          Round round = new Round(life, number, random(number, 2));
          faults.merge(round.fault(), 1, Integer::sum);
          int count = round.run();
          acknowledged += count;
          rounds++;
          out.printf(
              Locale.ROOT,
              "round %d: %s, %d acknowledged, %.1f s%n",
              number,
              round.fault(),
              count,
              (System.nanoTime() - start) / 1e9);
          number++;
        }
        life.checkStopped();
        out.println(life.statesSeen() + " states of databases looked at, one by one");
      } catch (Throwable e) {
        rounds++;
        failures.add(fail(number, life, e));
        number++;
      } finally {
        if (life != null) {
          life.close();
        }
      }
    }
    out.printf(
        "soak: seed %d, %d rounds, %d transactions acknowledged, %d failures; faults: %s%n",
        seed, rounds, acknowledged, failures.size(), faults);
    return new Result(seed, rounds, acknowledged, failures);
  }

  private boolean more(int rounds, long deadline) {
    return rounds < maxRounds && System.nanoTime() < deadline;
  }

  private Random random(int number, int purpose) {
    return new Random((seed * 1_000_003L + number) * 31 + purpose);
  }

  private String fail(int number, Life life, Throwable e) {
    Path dir = evidence.resolve(seed + "-" + number);
    StringBuilder text =
        new StringBuilder(
            "FAILED in round " + number + " of seed " + seed + ": " + first(e) + "\n");
    if (life != null) {
      try {
        life.note("FAILED: " + e);
        life.keepEvidence(dir);
        text.append("evidence: ").append(dir).append("\nhistory:\n");
        text.append(tail(life.history(), 40));
      } catch (RuntimeException | Error second) {
        text.append("no evidence: ").append(second);
      }
    }
    out.println(text);
    if (!(e instanceof AssertionError)) {
      e.printStackTrace(out);
    }
    return text.toString();
  }

  private static String first(Throwable e) {
    String message = String.valueOf(e);
    return message.length() > 2000 ? message.substring(0, 2000) + " ..." : message;
  }

  private static String tail(String text, int lines) {
    List<String> all = text.lines().toList();
    return String.join("\n", all.subList(Math.max(0, all.size() - lines), all.size()));
  }
}

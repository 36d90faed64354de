package io.litefs.it.bench;

import io.litefs.it.Cluster;
import io.litefs.it.Node;
import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleSupplier;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.function.UnaryOperator;

/**
 * Measures litefs against the bare directory below it, and against another {@code litefs} if one is
 * given, in turns within one run, and prints a Markdown table. A ratio is taken per round; its
 * spread over the rounds, and that of the bare directory, is the noise.
 *
 * <p>{@code --help} tells the arguments. System properties: {@code bench.tmpfs} (/dev/shm), {@code
 * bench.disk} (the temporary directory), and those of {@link Node}.
 */
public final class Benchmarks {

  private static final Path TMPFS = Path.of(System.getProperty("bench.tmpfs", "/dev/shm"));
  private static final Path DISK =
      Path.of(System.getProperty("bench.disk", System.getProperty("java.io.tmpdir")));
  private static final String PER_SECOND = "%,.0f/s";
  private static final String MICROSECONDS = "%,.0f us";

  private final Arguments arguments;
  private final int rounds;
  private final Table table;
  private final SqlBench sql = new SqlBench();

  private Benchmarks(Arguments arguments) {
    this.arguments = arguments;
    this.rounds = arguments.rounds();
    this.table = new Table(arguments.peer().isPresent());
  }

  public static void main(String[] args) throws IOException {
    Arguments arguments = Arguments.parse(args);
    Benchmarks benchmarks = new Benchmarks(arguments);
    for (String name : arguments.benchmarks()) {
      switch (name) {
        case "select" -> benchmarks.select();
        case "insert" -> benchmarks.insert();
        case "speedtest" -> benchmarks.speedtest();
        case "size" -> benchmarks.size();
        case "lag" -> benchmarks.lag();
        case "replica" -> benchmarks.replica();
        case "catchup" -> benchmarks.catchUp();
        case "start" -> new Starts(arguments, benchmarks.sql, benchmarks.table).run();
        case "ltx" -> LtxSpeed.measure(benchmarks.table);
        default -> throw new IllegalArgumentException("no benchmark " + name);
      }
    }
    benchmarks.table.print();
    System.exit(0);
  }

  private Contest contest(Path where, int size) {
    return new Contest(where, size, arguments.peer(), UnaryOperator.identity());
  }

  /** Each measurement once a round, in an order that turns. */
  private List<Samples> inTurns(int times, List<DoubleSupplier> measurements) {
    List<Samples> samples = new ArrayList<>();
    measurements.forEach(m -> samples.add(new Samples()));
    for (int round = 0; round < times; round++) {
      for (int i = 0; i < measurements.size(); i++) {
        int turn = (round + i) % measurements.size();
        samples.get(turn).add(measurements.get(turn).getAsDouble());
      }
    }
    return samples;
  }

  /** Measures the file in the bare directory and in each mount, and adds the row. */
  private void compare(
      String what,
      Path bare,
      List<Path> mounts,
      ToDoubleFunction<Path> measurement,
      String format,
      String target,
      Predicate<Table.Row> isReached) {
    List<DoubleSupplier> measurements = new ArrayList<>();
    measurements.add(() -> measurement.applyAsDouble(bare));
    mounts.forEach(mount -> measurements.add(() -> measurement.applyAsDouble(mount)));
    List<Samples> samples = inTurns(rounds, measurements);
    table.add(
        new Table.Row(
            what, format, samples.get(0), samples.subList(1, samples.size()), target, isReached));
  }

  private static List<Path> files(Contest contest, String db) {
    return contest.each(cluster -> cluster.primary().db(db));
  }

  private void select() throws IOException {
    try (Contest contest = contest(TMPFS, 2)) {
      for (String mode : List.of("DELETE", "WAL")) {
        String db = "select-" + mode;
        Path bare = contest.bare(db);
        sql.fill(bare, 20_000, 200, "journal_mode=" + mode);
        files(contest, db).forEach(file -> sql.fill(file, 20_000, 200, "journal_mode=" + mode));
        contest.clusters().forEach(cluster -> cluster.sync(db));
        for (boolean onPrimary : new boolean[] {true, false}) {
          String where = onPrimary ? "primary" : "replica";
          Function<Cluster, Node> node = onPrimary ? Cluster::primary : Cluster::replica;
          compare(
              "point SELECT, " + mode + ", " + where,
              bare,
              contest.each(cluster -> node.apply(cluster).db(db)),
              file -> sql.select(file, arguments.count(200_000), "cache_size=20"),
              PER_SECOND,
              ">= 0.90",
              row -> row.ratio().median() >= 0.9);
          table.add(requestsPerSelect(node.apply(contest.litefs()), db, mode + ", " + where));
        }
      }
    }
  }

  /** Of the daemon, counted by itself; opening and closing the file are 20 requests or so. */
  private Table.Row requestsPerSelect(Node node, String db, String where) {
    int transactions = 20_000;
    long before = requests(node);
    sql.select(node.db(db), transactions * 5 / 6, "cache_size=20");
    Samples each = new Samples();
    each.add(Math.floor(100.0 * (requests(node) - before) / transactions) / 100);
    return new Table.Row(
        "requests to the daemon per read transaction, " + where,
        "%.2f",
        null,
        List.of(each),
        "0",
        row -> row.litefs().median() == 0);
  }

  private static long requests(Node node) {
    return node.requestCounts().values().stream().mapToLong(Long::longValue).sum();
  }

  private void insert() throws IOException {
    try (Contest contest = contest(DISK, 1)) {
      compare(
          "INSERT, WAL/FULL, disk",
          contest.bare("wal-full"),
          files(contest, "wal-full"),
          file -> sql.insert(file, arguments.count(3000), "journal_mode=WAL", "synchronous=FULL"),
          PER_SECOND,
          ">= 0.70",
          row -> row.ratio().median() >= 0.7);
      compare(
          "INSERT, DELETE/FULL, disk",
          contest.bare("delete-full"),
          files(contest, "delete-full"),
          file ->
              sql.insert(file, arguments.count(1000), "journal_mode=DELETE", "synchronous=FULL"),
          PER_SECOND,
          "",
          row -> true);
    }
    try (Contest contest = contest(TMPFS, 1)) {
      compare(
          "INSERT, WAL/NORMAL, tmpfs",
          contest.bare("wal-normal"),
          files(contest, "wal-normal"),
          file ->
              sql.insert(file, arguments.count(20_000), "journal_mode=WAL", "synchronous=NORMAL"),
          PER_SECOND,
          ">= 6,000/s",
          row -> row.litefs().median() >= 6000);
      compare(
          "INSERT, DELETE/FULL, tmpfs",
          contest.bare("delete-full"),
          files(contest, "delete-full"),
          file ->
              sql.insert(file, arguments.count(3000), "journal_mode=DELETE", "synchronous=FULL"),
          PER_SECOND,
          ">= 900/s",
          row -> row.litefs().median() >= 900);
    }
  }

  private void speedtest() throws IOException {
    try (Contest contest = contest(TMPFS, 1)) {
      for (String mode : List.of("wal", "delete")) {
        double target = mode.equals("wal") ? 1.5 : 3;
        compare(
            "speedtest1 --size 25, " + mode + ", tmpfs",
            contest.bare("speedtest-" + mode),
            files(contest, "speedtest-" + mode),
            file -> speedtest1(file, mode),
            "%.2f s",
            "<= " + target + " x",
            row -> row.ratio().median() <= target);
      }
    }
  }

  private double speedtest1(Path db, String mode) {
    double seconds = sql.speedtest1(db, mode);
    try {
      Files.delete(db); // It wants to make its tables.
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    return seconds;
  }

  /** One-page commits in a small and in a large database, and behind a short and a long WAL. */
  private void size() throws IOException {
    int megabytes = arguments.megabytes();
    try (Contest contest = contest(DISK, 1)) {
      for (Path file : files(contest, "small")) {
        sql.fill(file, 2_500, 3500, "journal_mode=DELETE", "synchronous=OFF");
      }
      for (Path file : files(contest, "big")) {
        sql.fill(file, 250 * megabytes, 3500, "journal_mode=DELETE", "synchronous=OFF");
      }
      for (String mode : List.of("DELETE", "WAL")) {
        compareTimes(
            contest,
            "one-page commit, %s: %,d MB database against 10 MB".formatted(mode, megabytes),
            "small",
            "big",
            "journal_mode=" + mode,
            "synchronous=OFF");
      }
      for (String db : List.of("short", "long")) {
        for (Path file : files(contest, db)) {
          sql.fill(file, 2_500, 3500, "journal_mode=WAL", "synchronous=OFF");
        }
      }
      int walMegabytes = arguments.walMegabytes();
      for (Path file : files(contest, "long")) {
        sql.update(
            file,
            walMegabytes * 1_000_000L / 4120 * 5 / 6,
            "journal_mode=WAL",
            "synchronous=OFF",
            "wal_autocheckpoint=0");
      }
      compareTimes(
          contest,
          "one-page commit, WAL of %,d MB against 4 MB".formatted(walMegabytes),
          "short",
          "long",
          "journal_mode=WAL",
          "synchronous=OFF",
          "wal_autocheckpoint=0");
    }
  }

  /** A row of ratios between two files of the same mount: the bare directory is not asked. */
  private void compareTimes(
      Contest contest, String what, String one, String two, String... pragmas) {
    List<DoubleSupplier> measurements = new ArrayList<>();
    for (Cluster cluster : contest.clusters()) {
      for (String db : List.of(one, two)) {
        measurements.add(
            () -> sql.update(cluster.primary().db(db), arguments.count(1000), pragmas));
      }
    }
    List<Samples> samples = inTurns(rounds, measurements);
    List<Samples> ratios = new ArrayList<>();
    for (int i = 0; i < samples.size(); i += 2) {
      ratios.add(samples.get(i + 1).per(samples.get(i)));
    }
    table.add(
        new Table.Row(
            String.format(Locale.ROOT, "%s (" + MICROSECONDS + ")", what, samples.get(0).median()),
            "%.2f",
            null,
            ratios,
            "<= 1.10 x",
            row -> row.litefs().median() <= 1.1));
  }

  private void lag() throws IOException {
    for (Path where : List.of(TMPFS, DISK)) {
      try (Contest contest = contest(where, 2)) {
        for (String mode : List.of("DELETE", "WAL")) {
          String db = "lag-" + mode;
          List<Samples> p99 = new ArrayList<>();
          List<DoubleSupplier> measurements = new ArrayList<>();
          for (Cluster cluster : contest.clusters()) {
            Samples samples = new Samples();
            p99.add(samples);
            measurements.add(
                () -> {
                  double[] us = lag(cluster, db, mode);
                  samples.add(us[1] / 1000);
                  return us[0] / 1000;
                });
          }
          List<Samples> p50 = inTurns(rounds, measurements);
          String what =
              "commit to visible, " + mode + ", " + (where.equals(TMPFS) ? "tmpfs" : "disk");
          table.add(
              new Table.Row(
                  what + ", p50",
                  "%.2f ms",
                  null,
                  p50,
                  "<= 1 ms",
                  row -> row.litefs().median() <= 1));
          table.add(
              new Table.Row(
                  what + ", p99",
                  "%.2f ms",
                  null,
                  p99,
                  "<= 5 ms",
                  row -> row.litefs().median() <= 5));
        }
      }
    }
  }

  /** Median and 99th percentile in microseconds. */
  private double[] lag(Cluster cluster, String db, String mode) {
    return sql.lag(
        cluster.primary().db(db),
        arguments.count(1000),
        cluster.replica().db(db),
        "journal_mode=" + mode,
        "synchronous=NORMAL");
  }

  /**
   * A replica of a WAL database: what its readers cost replication, and replication its readers.
   */
  private void replica() throws IOException {
    try (Contest contest = contest(TMPFS, 2)) {
      List<Samples> open = new ArrayList<>();
      List<DoubleSupplier> measurements = new ArrayList<>();
      for (Cluster cluster : contest.clusters()) {
        measurements.add(
            () -> {
              double alone = lag(cluster, "lag", "WAL")[1];
              try (Session reader = Driver.SHELL.open(cluster.replica().db("lag"))) {
                reader.run("BEGIN");
                reader.run("SELECT count(*) FROM l");
                return lag(cluster, "lag", "WAL")[1] / alone;
              }
            });
      }
      open.addAll(inTurns(2 * rounds, measurements));
      table.add(
          new Table.Row(
              "lag p99, WAL, with a read transaction open against none",
              "%.2f",
              null,
              open,
              "<= 1.20 x",
              row -> row.litefs().median() <= 1.2));

      Path bare = contest.bare("s");
      sql.fill(bare, 20_000, 200, "journal_mode=WAL");
      for (Path file : files(contest, "s")) {
        sql.fill(file, 20_000, 200, "journal_mode=WAL", "synchronous=NORMAL");
      }
      contest.clusters().forEach(cluster -> cluster.sync("s"));
      List<DoubleSupplier> kept = new ArrayList<>();
      kept.add(() -> keptUnderLoad(bare, contest.litefs()));
      for (Cluster cluster : contest.clusters()) {
        kept.add(() -> keptUnderLoad(cluster.replica().db("s"), cluster));
      }
      List<Samples> samples = inTurns(rounds, kept);
      table.add(
          new Table.Row(
              "point SELECT on a replica, 500 transactions/s against idle (bare directory: the same load beside it)",
              "%.2f",
              samples.get(0),
              samples.subList(1, samples.size()),
              ">= 0.80 x",
              row -> row.litefs().median() >= 0.8));
    }
  }

  /** Which part of its rate a SELECT keeps while the cluster replicates. */
  private double keptUnderLoad(Path db, Cluster cluster) {
    double quiet = sql.select(db, arguments.count(300_000), "cache_size=20");
    double busy;
    try (Load load = new Load(cluster.primary().db("s"))) {
      busy = sql.select(db, arguments.count(300_000), "cache_size=20");
    }
    cluster.sync("s");
    return busy / quiet;
  }

  /** One-row transactions, 500 a second, until it is closed. */
  private static final class Load implements AutoCloseable {
    private final Thread thread;
    private volatile boolean stopped;

    Load(Path db) {
      thread =
          new Thread(
              () -> {
                try (Session session = Driver.SHELL.open(db)) {
                  session.run("PRAGMA synchronous = NORMAL");
                  long next = System.nanoTime();
                  for (int i = 0; !stopped; i++) {
                    session.run("UPDATE t SET b = randomblob(200) WHERE id = " + (i % 20_000 + 1));
                    next += 2_000_000;
                    java.util.concurrent.locks.LockSupport.parkNanos(next - System.nanoTime());
                  }
                }
              });
      thread.start();
    }

    @Override
    public void close() {
      stopped = true;
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void catchUp() throws IOException {
    for (String compress : List.of("true", "false")) {
      try (Contest contest =
          new Contest(
              TMPFS, 2, arguments.peer(), config -> config.set("data", "compress", compress))) {
        List<Samples> rates = new ArrayList<>();
        for (Cluster cluster : contest.clusters()) {
          Samples rate = new Samples();
          rate.add(new CatchUp(cluster, sql, arguments.count(500)).megabytesPerSecond());
          rates.add(rate);
        }
        table.add(
            new Table.Row(
                "catch-up of a replica, " + (compress.equals("true") ? "LZ4" : "plain") + ", tmpfs",
                "%,.0f MB/s",
                null,
                rates,
                ">= 300 MB/s",
                row -> row.litefs().median() >= 300));
      }
    }
  }
}

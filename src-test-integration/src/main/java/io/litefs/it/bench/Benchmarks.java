package io.litefs.it.bench;

import io.litefs.it.Await;
import io.litefs.it.Cluster;
import io.litefs.it.Commands;
import io.litefs.it.Node;
import io.litefs.it.NodeConfig;
import io.litefs.it.Position;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.ToDoubleFunction;

/**
 * Measures litefs against the bare directory below it, in turns within one run, and prints a
 * Markdown table. A ratio is taken per round; its spread over the rounds is the noise.
 *
 * <p>Arguments: names of benchmarks ({@code select insert speedtest size lag catchup start}), all
 * by default, and {@code rounds=N} (5). System properties: {@code bench.tmpfs} (/dev/shm), {@code
 * bench.disk} (the temporary directory), and those of {@link Node}.
 */
public final class Benchmarks {

  private static final Path TMPFS = Path.of(System.getProperty("bench.tmpfs", "/dev/shm"));
  private static final Path DISK =
      Path.of(System.getProperty("bench.disk", System.getProperty("java.io.tmpdir")));
  private static final Duration LIMIT = Duration.ofMinutes(10);

  private final Table table = new Table();
  private final SqlBench sql = new SqlBench();
  private final int rounds;

  private Benchmarks(int rounds) {
    this.rounds = rounds;
  }

  public static void main(String[] arguments) throws IOException {
    int rounds = 5;
    Set<String> wanted = new java.util.LinkedHashSet<>();
    for (String argument : arguments) {
      if (argument.startsWith("rounds=")) {
        rounds = Integer.parseInt(argument.substring(7));
      } else {
        wanted.add(argument);
      }
    }
    if (wanted.isEmpty()) {
      wanted =
          new java.util.LinkedHashSet<>(
              List.of("select", "insert", "speedtest", "size", "lag", "catchup", "start"));
    }
    Benchmarks benchmarks = new Benchmarks(rounds);
    for (String name : wanted) {
      switch (name) {
        case "select" -> benchmarks.select();
        case "insert" -> benchmarks.insert();
        case "speedtest" -> benchmarks.speedtest();
        case "size" -> benchmarks.size();
        case "lag" -> benchmarks.lag();
        case "catchup" -> benchmarks.catchUp();
        case "start" -> benchmarks.start();
        default -> throw new IllegalArgumentException("no benchmark " + name);
      }
    }
    benchmarks.table.print();
    System.exit(0);
  }

  private static Cluster cluster(Path where, int size) {
    System.setProperty("litefs.it.dir", where.toString());
    return Cluster.start(size);
  }

  /** A bare directory beside the node's home, on the same filesystem. */
  private static Path bare(Node node) throws IOException {
    return Files.createDirectories(node.home().resolve("bare"));
  }

  private static String ratio(double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  /**
   * Measures both in turns, each first in every other round, and adds the row; {@code atLeast} is
   * the ratio to reach.
   */
  private void compare(
      String what,
      Path bareDb,
      Path mountDb,
      ToDoubleFunction<Path> rate,
      double atLeast,
      double orAbsolute) {
    Samples bare = new Samples();
    Samples mount = new Samples();
    Samples ratios = new Samples();
    for (int i = 0; i < rounds; i++) {
      double b;
      double m;
      if (i % 2 == 0) {
        b = rate.applyAsDouble(bareDb);
        m = rate.applyAsDouble(mountDb);
      } else {
        m = rate.applyAsDouble(mountDb);
        b = rate.applyAsDouble(bareDb);
      }
      bare.add(b);
      mount.add(m);
      ratios.add(m / b);
    }
    boolean reached = orAbsolute > 0 ? mount.median() >= orAbsolute : ratios.median() >= atLeast;
    String target =
        orAbsolute > 0
            ? String.format(Locale.ROOT, ">= %,.0f/s", orAbsolute)
            : ">= " + ratio(atLeast);
    table.row(
        what, bare.rounded() + "/s", mount.rounded() + "/s", ratios.range(2), target, reached);
  }

  private void select() throws IOException {
    try (Cluster cluster = cluster(TMPFS, 2)) {
      for (String mode : List.of("DELETE", "WAL")) {
        String db = "select-" + mode;
        Path bare = bare(cluster.primary()).resolve(db);
        sql.fill(cluster.primary().db(db), 20_000, 200, "journal_mode=" + mode);
        sql.fill(bare, 20_000, 200, "journal_mode=" + mode);
        cluster.sync(db);
        for (Node node : cluster.nodes()) {
          String where = node == cluster.primary() ? "primary" : "replica";
          compare(
              "point SELECT, " + mode + ", " + where,
              bare,
              node.db(db),
              file -> sql.select(file, 200_000, "cache_size=20"),
              0.9,
              0);
        }
      }
    }
  }

  private void insert() throws IOException {
    try (Cluster cluster = cluster(DISK, 1)) {
      Node node = cluster.primary();
      compare(
          "INSERT, WAL/FULL, disk",
          bare(node).resolve("wal-full"),
          node.db("wal-full"),
          file -> sql.insert(file, 3000, "journal_mode=WAL", "synchronous=FULL"),
          0.7,
          0);
      compare(
          "INSERT, DELETE/FULL, disk",
          bare(node).resolve("delete-full"),
          node.db("delete-full"),
          file -> sql.insert(file, 1000, "journal_mode=DELETE", "synchronous=FULL"),
          0,
          0);
    }
    try (Cluster cluster = cluster(TMPFS, 1)) {
      Node node = cluster.primary();
      compare(
          "INSERT, WAL/NORMAL, tmpfs",
          bare(node).resolve("wal-normal"),
          node.db("wal-normal"),
          file -> sql.insert(file, 20_000, "journal_mode=WAL", "synchronous=NORMAL"),
          0,
          6000);
      compare(
          "INSERT, DELETE/FULL, tmpfs",
          bare(node).resolve("delete-full"),
          node.db("delete-full"),
          file -> sql.insert(file, 3000, "journal_mode=DELETE", "synchronous=FULL"),
          0,
          900);
    }
  }

  private void speedtest() throws IOException {
    try (Cluster cluster = cluster(TMPFS, 1)) {
      Node node = cluster.primary();
      for (String mode : List.of("wal", "delete")) {
        double target = mode.equals("wal") ? 1.5 : 3;
        Samples bare = new Samples();
        Samples mount = new Samples();
        Samples ratios = new Samples();
        for (int i = 0; i < Math.max(2, rounds / 2); i++) {
          String db = "speedtest-" + mode + i;
          double b = sql.speedtest1(bare(node).resolve(db), mode);
          double m = sql.speedtest1(node.db(db), mode);
          bare.add(b);
          mount.add(m);
          ratios.add(m / b);
          Files.deleteIfExists(node.db(db));
        }
        table.row(
            "speedtest1 --size 25, " + mode + ", tmpfs",
            String.format(Locale.ROOT, "%.2f s", bare.median()),
            String.format(Locale.ROOT, "%.2f s", mount.median()),
            ratios.range(2),
            "<= " + target + " x",
            ratios.median() <= target);
      }
    }
  }

  /** One-page commits in a small and in a large database, and behind a short and a long WAL. */
  private void size() throws IOException {
    try (Cluster cluster = cluster(DISK, 1)) {
      Node node = cluster.primary();
      sql.fill(node.db("small"), 2_500, 3500, "journal_mode=DELETE", "synchronous=OFF");
      sql.fill(node.db("big"), 250_000, 3500, "journal_mode=DELETE", "synchronous=OFF");
      for (String mode : List.of("DELETE", "WAL")) {
        compareTimes(
            "one-page commit, " + mode + ": 1 GB database against 10 MB",
            node.db("small"),
            node.db("big"),
            "journal_mode=" + mode,
            "synchronous=OFF");
      }
      sql.fill(node.db("short"), 2_500, 3500, "journal_mode=WAL", "synchronous=OFF");
      Commands.run("cp", node.db("short").toString(), node.db("long").toString()).orThrow();
      sql.update(
          node.db("long"), 50_000, "journal_mode=WAL", "synchronous=OFF", "wal_autocheckpoint=0");
      compareTimes(
          "one-page commit, WAL of 200 MB against 4 MB",
          node.db("short"),
          node.db("long"),
          "journal_mode=WAL",
          "synchronous=OFF",
          "wal_autocheckpoint=0");
    }
  }

  private void compareTimes(String what, Path one, Path two, String... pragmas) {
    Samples first = new Samples();
    Samples second = new Samples();
    Samples ratios = new Samples();
    for (int i = 0; i < rounds; i++) {
      double a = sql.update(one, 1000, pragmas);
      double b = sql.update(two, 1000, pragmas);
      first.add(a);
      second.add(b);
      ratios.add(b / a);
    }
    table.row(
        what,
        first.rounded() + " us",
        second.rounded() + " us",
        ratios.range(2),
        "<= 1.10",
        ratios.median() <= 1.1);
  }

  private void lag() throws IOException {
    for (Path where : List.of(TMPFS, DISK)) {
      try (Cluster cluster = cluster(where, 2)) {
        for (String mode : List.of("DELETE", "WAL")) {
          Samples p50 = new Samples();
          Samples p99 = new Samples();
          String db = "lag-" + mode;
          for (int i = 0; i < rounds; i++) {
            double[] us =
                sql.lag(
                    cluster.primary().db(db),
                    1000,
                    cluster.replica().db(db),
                    "journal_mode=" + mode,
                    "synchronous=NORMAL");
            p50.add(us[0] / 1000);
            p99.add(us[1] / 1000);
          }
          String what =
              "commit to visible, " + mode + ", " + (where.equals(TMPFS) ? "tmpfs" : "disk");
          table.row(what + ", p50", "", p50.range(2) + " ms", "", "<= 1 ms", p50.median() <= 1);
          table.row(what + ", p99", "", p99.range(2) + " ms", "", "<= 5 ms", p99.median() <= 5);
        }
      }
    }
  }

  private void catchUp() throws IOException {
    for (String compress : List.of("true", "false")) {
      System.setProperty("litefs.it.dir", TMPFS.toString());
      try (Cluster cluster = Cluster.start(2, config -> config.set("data", "compress", compress))) {
        String db = "catchup";
        sql.fill(cluster.primary().db(db), 10, 100, "journal_mode=WAL", "synchronous=OFF");
        cluster.sync(db);
        cluster.replica().stop();
        double before = cluster.primary().metrics().get("litefs_db_ltx_bytes", "db", db);
        // Transactions of about 1 MB of bytes that do not compress.
        Commands.run(
                LIMIT,
                java.util.Map.of(),
                List.of(
                    "sh",
                    "-c",
                    "(echo 'PRAGMA synchronous = OFF; CREATE TABLE c(id INTEGER PRIMARY KEY, b);'; for i in $(seq 1 500); do echo \"INSERT OR REPLACE INTO c VALUES ($i % 50,"
                        + " randomblob(1000000));\"; done) | sqlite3 '"
                        + cluster.primary().db(db)
                        + "'"))
            .orThrow();
        double bytes = cluster.primary().metrics().get("litefs_db_ltx_bytes", "db", db) - before;
        Position pos = cluster.primary().pos(db);
        cluster.replica().launch();
        Await.until(
            LIMIT, "the replica begins to catch up", () -> cluster.replica().pos(db).txid() > 3);
        double begun = cluster.replica().pos(db).txid() / (double) pos.txid();
        long start = System.nanoTime();
        cluster.replica().awaitPos(db, pos, LIMIT);
        double rate = bytes * (1 - begun) / 1e6 / ((System.nanoTime() - start) / 1e9);
        table.row(
            "catch-up of a replica, " + (compress.equals("true") ? "LZ4" : "plain") + ", tmpfs",
            "",
            String.format(Locale.ROOT, "%.0f MB/s (%.0f MB)", rate, bytes / 1e6),
            "",
            ">= 300 MB/s",
            rate >= 300);
      }
    }
  }

  /**
   * From the start of the process to a mount that answers, with ten small databases; and what the
   * daemon weighs then.
   */
  private void start() throws IOException {
    System.setProperty("litefs.it.dir", TMPFS.toString());
    try (Node node = Node.started("start", NodeConfig.primary())) {
      for (int i = 0; i < 10; i++) {
        sql.fill(node.db("db" + i), 1000, 1000, "journal_mode=WAL");
        sql.insert(node.db("db" + i), 500, "journal_mode=WAL");
      }
      double resident = node.residentBytes() / 1e6;
      Samples clean = new Samples();
      Samples killed = new Samples();
      for (int i = 0; i < rounds; i++) {
        node.stop();
        clean.add(startMillis(node));
        node.kill();
        killed.add(startMillis(node));
      }
      table.row(
          "start to mounted, clean",
          "",
          clean.range(0) + " ms",
          "",
          "<= 500 ms",
          clean.median() <= 500);
      table.row(
          "start to mounted, after kill -9",
          "",
          killed.range(0) + " ms",
          "",
          "<= 3000 ms",
          killed.median() <= 3000);
      table.row(
          "resident, ten databases",
          "",
          String.format(Locale.ROOT, "%.0f MB", resident),
          "",
          "<= 150 MB",
          resident <= 150);
    }
  }

  private static double startMillis(Node node) {
    long start = System.nanoTime();
    node.start();
    return (System.nanoTime() - start) / 1e6;
  }
}

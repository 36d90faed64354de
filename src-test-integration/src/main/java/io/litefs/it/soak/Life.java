package io.litefs.it.soak;

import io.litefs.it.Commands;
import io.litefs.it.Node;
import io.litefs.it.NodeConfig;
import io.litefs.it.Position;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

/**
 * A primary and a replica with their databases, over many rounds. The daemons run on from round to
 * round unless a fault ends them; what was acknowledged in one round is looked for in all later
 * ones.
 */
final class Life implements AutoCloseable {

  private static final int DISK_MEGABYTES = 512;
  private static final int PRUNE_ABOVE_TRANSACTIONS = 250;
  private static final long PRUNE_ABOVE_BYTES = 3_000_000;

  /** One database and what is known about it. */
  static final class Db {
    final String name;
    final Workload.Style style;
    final Ledger ledger = new Ledger();
    final EveryState states;
    Position last = new Position(0, 0);

    Db(String name, Workload.Style style, EveryState states) {
      this.name = name;
      this.style = style;
      this.states = states;
    }
  }

  private final Node primary;
  private final Node replica;
  private final List<SmallDisk> disks = new ArrayList<>();
  private final Map<String, Db> dbs = new LinkedHashMap<>();
  private final List<String> history = new ArrayList<>();
  private final Path dir;
  private int statesSeen;
  private final long began = System.nanoTime();

  /** Starts both nodes and makes the databases. */
  Life(Random random, SmallDisk.Kind disk) {
    NodeConfig primaryConfig = NodeConfig.primary();
    primary = Node.create("soak-primary", primaryConfig);
    NodeConfig replicaConfig = NodeConfig.replicaOf(primary.port());
    replica = Node.create("soak-replica", replicaConfig);
    dir = Commands.workDirectory("soak");
    try {
      boolean always = random.nextInt(4) == 0;
      String compress = Boolean.toString(random.nextBoolean());
      // The disk holds what the writers make in the longer one.
      String retention = random.nextInt(4) == 0 ? "1s" : "20s";
      note(
          "new nodes: durability "
              + (always ? "always" : "application")
              + ", compress "
              + compress
              + ", retention "
              + retention);
      for (NodeConfig config : List.of(primaryConfig, replicaConfig)) {
        config.set("data", "durability", always ? "always" : "application");
        config.set("data", "compress", compress);
        config.set("data", "retention", retention);
        config.set("data", "retention-monitor-interval", "500ms");
      }
      for (Node node : List.of(primary, replica)) {
        if (disk != null) {
          disks.add(SmallDisk.mount(node.data(), disk, DISK_MEGABYTES));
        }
      }
      startDead();
      add("rollback.db", Workload.Style.ROLLBACK);
      add("wal.db", Workload.Style.WAL);
      add("any.db", Workload.Style.ANY);
      add("memory.db", Workload.Style.MEMORY);
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  private void add(String name, Workload.Style style) {
    EveryState states = new EveryState(replica, name, dir.resolve(name + ".followed"));
    Db db = new Db(name, style, states);
    dbs.put(name, db);
    create(db);
  }

  private void create(Db db) {
    sql(
        db,
        db.style == Workload.Style.WAL ? "PRAGMA journal_mode = WAL" : "PRAGMA auto_vacuum = 2",
        String.join("; ", Workload.SCHEMA));
  }

  /** Runs statements on the primary, which must succeed. */
  private void sql(Db db, String... statements) {
    Commands.Result result =
        Commands.run(
            Duration.ofSeconds(30),
            Map.of(),
            List.of(
                "sqlite3",
                "-batch",
                "-bail",
                "-cmd",
                ".timeout 20000",
                primary.db(db.name).toString(),
                String.join("; ", statements)));
    if (result.exitCode() != 0) {
      throw new AssertionError("in quiet times, on " + db.name + ": " + result.output());
    }
  }

  Node primary() {
    return primary;
  }

  Node replica() {
    return replica;
  }

  /** Null if there are none. */
  SmallDisk disk(Node node) {
    return disks.isEmpty() ? null : disks.get(node == primary ? 0 : 1);
  }

  Map<String, Db> dbs() {
    return dbs;
  }

  Path dir() {
    return dir;
  }

  /** How many states of databases were looked at, one by one. */
  int statesSeen() {
    return statesSeen;
  }

  synchronized void note(String event) {
    history.add(
        String.format(java.util.Locale.ROOT, "%9.3f %s", (System.nanoTime() - began) / 1e9, event));
  }

  synchronized String history() {
    return String.join("\n", history) + "\n";
  }

  /** Starts whichever node does not run, both at a time. */
  void startDead() {
    List<CompletableFuture<Void>> starts = new ArrayList<>();
    for (Node node : List.of(primary, replica)) {
      if (!node.isRunning()) {
        starts.add(CompletableFuture.runAsync(node::start));
      }
    }
    starts.forEach(CompletableFuture::join);
  }

  /** Between rounds: drops and makes again, or empties what has grown. */
  void tidy(Random random) {
    for (Db db : dbs.values()) {
      try {
        if (random.nextInt(25) == 0) {
          note("drop " + db.name);
          Files.delete(primary.db(db.name));
          db.ledger.clear();
          create(db);
        } else if (db.ledger.size() > PRUNE_ABOVE_TRANSACTIONS
            || Files.size(primary.db(db.name)) > PRUNE_ABOVE_BYTES) {
          note("empty " + db.name);
          sql(
              db,
              "BEGIN IMMEDIATE",
              "DELETE FROM data",
              "DELETE FROM tx",
              "UPDATE total SET n = 0",
              "COMMIT",
              random.nextBoolean() ? "VACUUM" : "PRAGMA wal_checkpoint(TRUNCATE)");
          db.ledger.clear();
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** All is quiet: everything must be right. */
  void check() {
    for (Node node : List.of(primary, replica)) {
      Checks.quietLog(node);
    }
    for (Db db : dbs.values()) {
      var found = Checks.same(primary, replica, db.name);
      Position pos = found.getValue();
      if (pos.txid() < db.last.txid()) {
        throw new AssertionError(db.name + " went back from " + db.last + " to " + pos);
      }
      db.last = pos;
      List<String> wrong = db.ledger.settle(found.getKey().transactions());
      if (!wrong.isEmpty()) {
        throw new AssertionError(db.name + ": " + wrong);
      }
      Checks.noGap(primary, db.name);
      Checks.noGap(replica, db.name);
      statesSeen += db.states.follow();
    }
  }

  /** Stops both nodes in the ordinary way, looks at their logs, and starts them again. */
  void checkStopped() {
    note("stop both and read their logs");
    for (Node node : List.of(replica, primary)) {
      int code = node.stop();
      if (code != 0) {
        throw new AssertionError("exit code " + code + " after SIGTERM: " + node.home());
      }
      Checks.quietLog(node);
      for (Db db : dbs.values()) {
        Checks.unbrokenLog(node, db.name, db.last);
      }
    }
    startDead();
  }

  /** Copies all that could explain a failure. */
  void keepEvidence(Path to) {
    Evidence.keep(to, history(), dir, List.of(primary, replica));
  }

  @Override
  public void close() {
    try {
      replica.close();
    } finally {
      try {
        primary.close();
      } finally {
        dbs.values().forEach(db -> db.states.close());
        disks.forEach(SmallDisk::close);
        // A data directory that was a mount point was emptied but could not be removed.
        for (Path home : List.of(primary.home(), replica.home(), dir)) {
          Commands.run("rm", "-rf", "--one-file-system", home.toString());
        }
      }
    }
  }
}

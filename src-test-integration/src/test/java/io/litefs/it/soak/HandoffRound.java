package io.litefs.it.soak;

import io.litefs.it.Await;
import io.litefs.it.Commands;
import io.litefs.it.ElectedCluster;
import io.litefs.it.Node;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

/** Writers on both nodes, some handoffs, perhaps a kill; then quiet, and every check. */
final class HandoffRound {

  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** They are refused for as long as they are on the wrong node. */
  private static final Writer.Patience PATIENCE = new Writer.Patience(500, 300);

  private enum Fault {
    NONE,
    KILL_WRITERS,
    /** Also while the lease changes hands. */
    KILL_NODE
  }

  /** Two nodes and their databases, over many rounds. */
  static final class Life {

    private final ElectedCluster cluster;
    private final boolean synchronous;
    private final Path dir;
    private final List<String> history;
    private final Map<String, Life.Db> dbs = new LinkedHashMap<>();
    private final long began = System.nanoTime();

    private record Db(String name, Workload.Style style, Ledger ledger) {}

    /**
     * @param synchronous whether a commit is acknowledged only when both nodes have it; else no
     *     node is killed, since what only the killed one has is lost
     */
    Life(ElectedCluster cluster, boolean synchronous, Path dir, List<String> history) {
      this.cluster = cluster;
      this.synchronous = synchronous;
      this.dir = dir;
      this.history = history;
      note("new nodes" + (synchronous ? ", commits wait for the other" : ""));
    }

    void create() {
      for (Workload.Style style : Workload.Style.values()) {
        String name = style.name().toLowerCase(Locale.ROOT) + ".db";
        String mode = style == Workload.Style.WAL ? "WAL" : "DELETE";
        Commands.run(
                "sqlite3",
                cluster.awaitPrimary().db(name).toString(),
                "PRAGMA journal_mode = " + mode + "; " + String.join("; ", Workload.SCHEMA))
            .orThrow();
        dbs.put(name, new Db(name, style, new Ledger()));
      }
    }

    private synchronized void note(String event) {
      history.add(String.format(Locale.ROOT, "%9.3f %s", (System.nanoTime() - began) / 1e9, event));
    }

    private List<Node> nodes() {
      return List.of(cluster.node(0), cluster.node(1));
    }
  }

  private final Life life;
  private final int number;
  private final Random random;
  private final Fault fault;
  private final Path dir;
  private final Path stop;
  private final List<Writer> writers = new ArrayList<>();
  private int handoffs;
  private int acknowledged;

  HandoffRound(Life life, int number, Random random) {
    this.life = life;
    this.number = number;
    this.random = random;
    int chance = random.nextInt(6);
    this.fault =
        chance < 3
            ? Fault.NONE
            : chance == 3 || !life.synchronous ? Fault.KILL_WRITERS : Fault.KILL_NODE;
    try {
      this.dir = Files.createDirectories(life.dir.resolve("round-" + number));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    this.stop = dir.resolve("stop");
  }

  /** How many succeeded. */
  int handoffs() {
    return handoffs;
  }

  int acknowledged() {
    return acknowledged;
  }

  @Override
  public String toString() {
    return fault.toString();
  }

  /**
   * @throws AssertionError if anything is not as it must be
   */
  void run() {
    life.note("round " + number + ": " + fault);
    prune();
    try {
      startWriters();
      strike();
      Writer.stop(stop);
      writers.forEach(writer -> writer.awaitEnd(LIMIT));
      collect();
    } finally {
      writers.forEach(Writer::close);
    }
    for (Node node : life.nodes()) {
      if (!node.isRunning()) {
        node.start();
      }
    }
    life.cluster.awaitFollowers();
    life.note("quiet");
    check();
    Commands.run("rm", "-rf", dir.toString());
  }

  /** Else the checks take longer from round to round. */
  private void prune() {
    for (Life.Db db : life.dbs.values()) {
      if (db.ledger().size() > 250) {
        life.note("empty " + db.name());
        Commands.run(
                "sqlite3",
                "-cmd",
                ".timeout 20000",
                life.cluster.awaitPrimary().db(db.name()).toString(),
                "BEGIN IMMEDIATE; DELETE FROM data; DELETE FROM tx; UPDATE total SET n = 0; COMMIT; VACUUM")
            .orThrow();
        db.ledger().clear();
      }
    }
  }

  private void startWriters() {
    List<Life.Db> dbs = new ArrayList<>(life.dbs.values());
    if (fault != Fault.NONE) {
      dbs.removeIf(db -> db.style() == Workload.Style.MEMORY); // It does not survive a kill.
    }
    Node primary = life.cluster.awaitPrimary();
    int count = 2 + random.nextInt(3);
    for (int i = 0; i < count; i++) {
      Life.Db db = dbs.get(random.nextInt(dbs.size()));
      Node node = i == 0 ? primary : life.nodes().get(random.nextInt(2));
      Writer.Kind kind = random.nextInt(8) == 0 ? Writer.Kind.JDBC : Writer.Kind.PYTHON;
      int writer = number * 10 + i;
      List<String> script = Workload.script(random, writer, db.style(), 400, false, null);
      if (fault != Fault.NONE && kind != Writer.Kind.JDBC) {
        script = Workload.withoutSavepoints(script);
      }
      writers.add(
          Writer.start(
              kind, PATIENCE, writer, db.name(), node.db(db.name()), false, script, dir, stop));
      life.note("started " + writers.get(i) + " on " + name(node));
    }
    writers.forEach(writer -> Await.until(LIMIT, writer + " begins", writer::hasBegun));
  }

  private String name(Node node) {
    return "n" + life.nodes().indexOf(node);
  }

  private void pause(int maxMillis) {
    Round.pause(random, maxMillis);
  }

  private void strike() {
    int count = 1 + random.nextInt(5);
    int striking = random.nextInt(count);
    for (int i = 0; i < count; i++) {
      pause(500);
      Node receiver = life.cluster.others(life.cluster.awaitPrimary()).get(0);
      if (i == striking && fault == Fault.KILL_NODE) {
        killNode(receiver);
        return;
      }
      if (i == striking && fault == Fault.KILL_WRITERS) {
        CompletableFuture<Void> handoff = CompletableFuture.runAsync(() -> handOffTo(receiver));
        pause(150);
        life.note("kill the writers");
        writers.forEach(Writer::kill);
        handoff.join();
      } else {
        handOffTo(receiver);
      }
    }
  }

  private void handOffTo(Node receiver) {
    life.note("hand off to " + name(receiver));
    var answer = receiver.http().call("POST", "/promote");
    life.note(answer.statusCode() + " " + answer.body().strip());
    if (answer.statusCode() == 200) {
      handoffs++;
    }
  }

  private void killNode(Node receiver) {
    Node killed = life.nodes().get(random.nextInt(2));
    boolean handsOff = random.nextBoolean();
    CompletableFuture<Void> handoff =
        CompletableFuture.runAsync(
            () -> {
              try {
                if (handsOff) {
                  handOffTo(receiver);
                }
              } catch (RuntimeException | AssertionError e) {
                life.note("no answer: " + e.getMessage()); // It was killed.
              }
            });
    pause(handsOff ? 250 : 1000);
    life.note("kill " + name(killed));
    killed.kill();
    handoff.join();
    pause(500);
    killed.start();
    life.note("started " + name(killed));
    life.cluster.awaitPrimary();
    pause(500);
  }

  private void collect() {
    List<String> wrong = new ArrayList<>();
    for (Writer writer : writers) {
      Ledger.Notes notes = writer.notes();
      life.dbs.get(writer.db()).ledger().add(notes);
      acknowledged += notes.acknowledged().size();
      for (Ledger.Failure error : notes.errors()) {
        if (!Round.allowed(error, true)) {
          wrong.add(writer + ": " + error);
        }
      }
      life.note(
          writer
              + ": "
              + notes.acknowledged().size()
              + " acknowledged, "
              + notes.errors().size()
              + " errors"
              + (notes.errors().isEmpty() ? "" : ", the last: " + last(notes.errors())));
    }
    if (!wrong.isEmpty()) {
      throw new AssertionError(String.join("\n", wrong));
    }
  }

  private static Ledger.Failure last(List<Ledger.Failure> errors) {
    return errors.get(errors.size() - 1);
  }

  private void check() {
    life.nodes().forEach(Checks::quietLog);
    Node primary = life.cluster.awaitPrimary();
    Node replica = life.cluster.others(primary).get(0);
    for (Life.Db db : life.dbs.values()) {
      List<String> wrong =
          db.ledger().settle(Checks.same(primary, replica, db.name()).getKey().transactions());
      if (!wrong.isEmpty()) {
        throw new AssertionError(db.name() + ": " + wrong);
      }
      Checks.noGap(primary, db.name());
      Checks.noGap(replica, db.name());
    }
  }
}

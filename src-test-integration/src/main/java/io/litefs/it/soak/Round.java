package io.litefs.it.soak;

import io.litefs.it.Await;
import io.litefs.it.Node;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Some writers on the primary, a reader on the replica, one fault at a random moment; then quiet,
 * and every check.
 */
final class Round {

  /** A writer that has nothing to wait for ends far sooner. */
  private static final Duration LIMIT = Duration.ofSeconds(45);

  /** For a hunt: at least so many readers on the replica in every round, at most five. */
  private static final int MIN_READERS = Integer.getInteger("litefs.soak.readers", 0);

  /** For a hunt: the database that every reader reads, and at least one writer writes. */
  private static final String HUNTED = System.getProperty("litefs.soak.db");

  private final Life life;
  private final int number;
  private final Random random;
  private final Fault fault;
  private final Path dir;
  private final Path stop;
  private final List<Writer> writers = new ArrayList<>();
  private final List<Writer> readers = new ArrayList<>();
  private final Map<Node, Long> killedMicros = new HashMap<>();

  Round(Life life, int number, Random random) {
    this.life = life;
    this.number = number;
    this.random = random;
    this.fault = Fault.random(random, life.disk(life.primary()) != null);
    try {
      this.dir = Files.createDirectories(life.dir().resolve("round-" + number));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    this.stop = dir.resolve("stop");
  }

  Fault fault() {
    return fault;
  }

  /**
   * @return how many transactions were acknowledged
   * @throws AssertionError if anything is not as it must be
   */
  int run() {
    life.note("round " + number + ": " + fault);
    life.tidy(random);
    int acknowledged;
    try {
      startWriters();
      strike();
      end();
      acknowledged = collect();
    } finally {
      writers.forEach(Writer::close);
      readers.forEach(Writer::close);
      for (Node node : List.of(life.primary(), life.replica())) {
        if (life.disk(node) != null) {
          life.disk(node).free();
        }
      }
    }
    life.startDead();
    life.note("quiet");
    life.check();
    if (random.nextInt(20) == 0) {
      life.checkStopped();
    }
    io.litefs.it.Commands.run("rm", "-rf", dir.toString());
    return acknowledged;
  }

  private void startWriters() {
    List<Life.Db> dbs = new ArrayList<>(life.dbs().values());
    if (fault.interruptsTransactions()) {
      dbs.removeIf(db -> db.style == Workload.Style.MEMORY);
    }
    int count = 2 + random.nextInt(3);
    for (int i = 0; i < count; i++) {
      Life.Db db = dbs.get(random.nextInt(dbs.size()));
      if (HUNTED != null && i == 0) {
        db = life.dbs().get(HUNTED);
      }
      Writer.Kind kind =
          switch (random.nextInt(12)) {
            case 0 -> Writer.Kind.JDBC;
            // It ends at the first error, such as a journal mode that cannot be had now.
            case 1, 2, 3, 4 ->
                db.style == Workload.Style.ANY ? Writer.Kind.PYTHON : Writer.Kind.SHELL;
            default -> Writer.Kind.PYTHON;
          };
      int writer = number * 10 + i;
      List<String> script =
          Workload.script(
              random,
              writer,
              db.style,
              kind == Writer.Kind.SHELL ? 40 : 400,
              kind == Writer.Kind.SHELL,
              null);
      boolean mayBeWal = db.style == Workload.Style.WAL || db.style == Workload.Style.ANY;
      if (mayBeWal && kind != Writer.Kind.JDBC) {
        script = Workload.withoutSavepoints(script);
      }
      writers.add(
          Writer.start(
              kind, writer, db.name, life.primary().db(db.name), false, script, dir, stop));
      life.note("started " + writers.get(i));
    }
    int readerCount = random.nextInt(3) == 0 ? 1 : 0;
    for (int i = 0; i < Math.max(readerCount, MIN_READERS); i++) {
      Life.Db db = dbs.get(random.nextInt(dbs.size()));
      if (HUNTED != null) {
        db = life.dbs().get(HUNTED);
      }
      // Before its schema is there the reader would find no table.
      life.replica().awaitPos(db.name, life.primary().pos(db.name), LIMIT);
      readers.add(
          Writer.start(
              Writer.Kind.PYTHON,
              number * 10 + 9 - i,
              db.name,
              life.replica().db(db.name),
              true,
              Workload.reader(random, 2000),
              dir,
              stop));
      life.note("started reader: " + readers.get(i));
    }
    // One that is locked out at once is as good as one that has begun.
    for (Writer writer : writers) {
      Await.until(LIMIT, writer + " begins", writer::hasBegun);
    }
  }

  private void pause(int maxMillis) {
    pause(random, maxMillis);
  }

  /** The moment is what is random here: it waits for nothing. */
  static void pause(Random random, int maxMillis) {
    long nanos = (long) (random.nextDouble() * TimeUnit.MILLISECONDS.toNanos(maxMillis));
    long until = System.nanoTime() + nanos;
    while (System.nanoTime() < until) {
      LockSupport.parkNanos(until - System.nanoTime());
    }
  }

  private void strike() {
    pause(700);
    life.note(fault.toString());
    Node primary = life.primary();
    Node replica = life.replica();
    switch (fault) {
      case NONE -> pause(500);
      case KILL_WRITERS -> {
        int spared = random.nextInt(writers.size());
        for (int i = 0; i < writers.size(); i++) {
          if (i == 0 || i != spared) {
            writers.get(i).kill();
          }
        }
        pause(200);
      }
      case KILL_PRIMARY -> kill(primary);
      case KILL_PRIMARY_TWICE -> twice(primary);
      case KILL_REPLICA -> kill(replica);
      case KILL_REPLICA_TWICE -> twice(replica);
      case KILL_BOTH -> {
        boolean replicaFirst = random.nextBoolean();
        kill(replicaFirst ? replica : primary);
        kill(replicaFirst ? primary : replica);
      }
      case KILL_ALL -> {
        boolean writersFirst = random.nextBoolean();
        if (writersFirst) {
          writers.forEach(Writer::kill);
        }
        kill(primary);
        if (!writersFirst) {
          writers.forEach(Writer::kill);
        }
        kill(replica);
        readers.forEach(Writer::kill);
      }
      case STOP_PRIMARY -> requireClean(primary.stop(), primary);
      case STOP_REPLICA -> {
        requireClean(replica.stop(), replica);
        pause(400);
      }
      case FILL_PRIMARY -> full(primary);
      case FILL_REPLICA -> full(replica);
      case FILL_AND_KILL_PRIMARY -> {
        life.disk(primary).fill();
        pause(300);
        kill(primary);
        // It must serve, reads at least, on a disk without a free byte.
        primary.start();
        life.note("started on a full disk");
        life.disk(primary).free();
      }
    }
  }

  private static void requireClean(int code, Node node) {
    if (code != 0) {
      throw new AssertionError("exit code " + code + " after SIGTERM: " + node.home());
    }
  }

  private void kill(Node node) {
    killedMicros.putIfAbsent(node, TimeUnit.MILLISECONDS.toMicros(System.currentTimeMillis()));
    node.kill();
  }

  private void twice(Node node) {
    kill(node);
    node.launch();
    pause(1200);
    life.note("kill again");
    kill(node);
  }

  private void full(Node node) {
    life.disk(node).fill();
    life.note("full");
    pause(500);
    life.disk(node).free();
    life.note("free again");
    pause(300);
    if (!node.isRunning()) {
      throw new AssertionError("a full disk ended the daemon: " + node.home());
    }
  }

  private void end() {
    Writer.stop(stop);
    for (Writer writer : writers) {
      writer.awaitEnd(LIMIT);
    }
    for (Writer reader : readers) {
      reader.awaitEnd(LIMIT);
    }
  }

  /** Takes what the writers were told into the ledgers. */
  private int collect() {
    int acknowledged = 0;
    List<String> wrong = new ArrayList<>();
    for (Writer writer : writers) {
      Ledger.Notes notes = writer.notes();
      life.dbs().get(writer.db()).ledger.add(notes);
      acknowledged += notes.acknowledged().size();
      for (Ledger.Failure error : notes.errors()) {
        if (!allowed(error, fault.disturbsWriters()) && !ofADeadMount(error, life.primary())) {
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
              + (notes.errors().isEmpty() ? "" : ", the first: " + notes.errors().get(0)));
    }
    for (Writer reader : readers) {
      Ledger.Notes notes = reader.notes();
      notes.violations().forEach(row -> wrong.add("a reader of the replica saw: " + row));
      for (Ledger.Failure error : notes.errors()) {
        if (!allowed(error, fault.disturbsReaders()) && !ofADeadMount(error, life.replica())) {
          wrong.add("reader of the replica, " + reader + ": " + error);
        }
      }
      life.note(
          reader
              + " read "
              + notes.acknowledged().size()
              + " and more, "
              + notes.errors().size()
              + " errors");
    }
    if (!wrong.isEmpty()) {
      throw new AssertionError(String.join("\n", wrong));
    }
    return acknowledged;
  }

  /**
   * On the mount of a killed daemon no file is found any more, a hot journal neither, but a
   * connection that has the database open still gets from the kernel what it has in its cache: it
   * may meet half a transaction. It cannot write any.
   */
  private boolean ofADeadMount(Ledger.Failure error, Node node) {
    Long killed = killedMicros.get(node);
    return killed != null
        && error.message().contains("malformed")
        && (error.micros() == 0 || error.micros() >= killed);
  }

  /** What SQLite may say to an application: that the database is busy; and if files fail, that. */
  static boolean allowed(Ledger.Failure error, boolean filesFail) {
    String lower = error.message().toLowerCase(Locale.ROOT);
    if (lower.contains("malformed")
        || lower.contains("not a database")
        || lower.contains("constraint")
        || lower.contains("no such")) {
      return false;
    }
    return filesFail
        || lower.contains("locked")
        || lower.contains("busy")
        || lower.contains("cannot vacuum")
        || lower.contains("wal mode")
        // A change of the mode that SQLite would have let overwrite what others have committed.
        || lower.contains("pragma journal_mode") && lower.contains("disk i/o error");
  }
}

package io.litefs.it.soak;

import io.litefs.it.Commands;
import io.litefs.it.DatabaseImage;
import io.litefs.it.Node;
import io.litefs.it.NodeConfig;
import io.litefs.it.Ports;
import io.litefs.it.Position;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Cuts the power at any moment, without a switch: every file operation of a daemon is recorded
 * while writers work ({@link StraceLog}), and from the recording any number of states are made that
 * a power cut could have left on the disk ({@link DiskModel} says what is assumed). A daemon that
 * is started on such a state must serve every database of it, sound, at the position that its bytes
 * have, and with every transaction that was promised:
 *
 * <ul>
 *   <li>{@code data.durability=always}, or {@code synchronous=FULL}: all whose COMMIT had returned.
 *   <li>otherwise a prefix of them.
 * </ul>
 *
 * <p>One daemon is started on many states at a time, each as a database of its own name.
 *
 * <pre>
 *   -Dlitefs.powercut.seed=N        printed if chosen here
 *   -Dlitefs.powercut.recordings=N  so many recordings (default 2)
 *   -Dlitefs.powercut.states=N      states made from each (default 100)
 *   -Dlitefs.powercut.short-log=true|false  whether retention has cut the log (default: by turns)
 *   -Dlitefs.powercut.ignore-syncs=true  as if the daemon never synced: must fail
 *   -Dlitefs.powercut.evidence=DIR  where states are kept that failed (default: /tmp/litefs-powercut)
 * </pre>
 */
public final class PowerCut {

  /** How it went. */
  public record Result(long seed, int states, List<String> failures) {}

  private static final int STATES_PER_START = 30;
  private static final int TRANSACTIONS = 40;
  private static final int OPERATIONS_TOLD = 60;
  private static final Duration LIMIT = Duration.ofMinutes(2);

  /** One database of the recording. */
  private record Subject(String db, Workload.Style style, String synchronous, int writer) {
    String prefix() {
      return "dbs/" + db + "/";
    }
  }

  private static final List<Subject> SUBJECTS =
      List.of(
          new Subject("wal-full", Workload.Style.WAL, "FULL", 1),
          new Subject("wal-normal", Workload.Style.WAL, "NORMAL", 2),
          new Subject("wal-off", Workload.Style.WAL, "OFF", 3),
          new Subject("rollback-full", Workload.Style.ROLLBACK, "FULL", 4),
          new Subject("rollback-normal", Workload.Style.ROLLBACK, "NORMAL", 5),
          new Subject("rollback-off", Workload.Style.ROLLBACK, "OFF", 6),
          new Subject("any-full", Workload.Style.ANY, "FULL", 7),
          new Subject("any-off", Workload.Style.ANY, "OFF", 8));

  /** When which transaction was acknowledged, in their order; and which may be there besides. */
  private record Acknowledged(Map<String, Long> micros, Set<String> uncertain) {}

  /**
   * A state to start from.
   *
   * @param files has its files: they are kept on the disk, since each state has megabytes
   * @param mayBeLost whether SQLite itself promises no database at all ({@code synchronous=OFF}),
   *     and the log, being short, cannot make it anew: it must be noticed then, and not served
   */
  private record State(
      String name,
      Subject subject,
      String origin,
      Path files,
      List<String> promised,
      List<String> committed,
      Set<String> uncertain,
      boolean mayBeLost) {}

  private final PrintStream out;
  private final long seed;
  private final Random random;
  private final boolean ignoreSyncs;

  /** Null: by turns. */
  private final Boolean shortLog;

  private final int statesPerRecording;
  private final Path evidence;
  private final List<String> failures = new ArrayList<>();
  private int states;

  private PowerCut(PrintStream out, int statesPerRecording) {
    this.out = out;
    this.seed = Long.getLong("litefs.powercut.seed", new Random().nextInt(1_000_000_000));
    this.random = new Random(seed);
    this.ignoreSyncs = Boolean.getBoolean("litefs.powercut.ignore-syncs");
    String log = System.getProperty("litefs.powercut.short-log");
    this.shortLog = log == null ? null : Boolean.valueOf(log);
    this.statesPerRecording = Integer.getInteger("litefs.powercut.states", statesPerRecording);
    this.evidence = Path.of(System.getProperty("litefs.powercut.evidence", "/tmp/litefs-powercut"));
  }

  /** Whether strace is there and allowed to trace. */
  public static boolean possible() {
    return StraceLog.possible();
  }

  /** Runs as the system properties say. */
  public static Result run(PrintStream out, int statesPerRecording) {
    PowerCut powerCut = new PowerCut(out, statesPerRecording);
    int recordings = Integer.getInteger("litefs.powercut.recordings", 2);
    out.println(
        "power cut: seed " + powerCut.seed + " (-Dlitefs.powercut.seed=" + powerCut.seed + ")");
    for (int i = 0; i < recordings; i++) {
      powerCut.recordAndCheck(i);
    }
    out.printf(
        Locale.ROOT,
        "power cut: seed %d, %d states of %d recordings, %d failures%n",
        powerCut.seed,
        powerCut.states,
        recordings,
        powerCut.failures.size());
    return new Result(powerCut.seed, powerCut.states, List.copyOf(powerCut.failures));
  }

  public static void main(String[] arguments) {
    System.exit(run(System.out, 100).failures().isEmpty() ? 0 : 1);
  }

  // ------------------------------------------------------------ recording

  private void recordAndCheck(int number) {
    boolean always = random.nextInt(3) == 0;
    // With a short log recovery begins at a base, and cannot write again what the log lacks.
    boolean trimmed = shortLog == null ? number % 2 == 0 : shortLog;
    Path dir = Commands.workDirectory("power-cut");
    Node primary = null;
    Node replica = null;
    try {
      NodeConfig primaryConfig = NodeConfig.primary();
      primary = Node.create("power-cut-primary", primaryConfig);
      NodeConfig replicaConfig = NodeConfig.replicaOf(primary.port());
      replica = Node.create("power-cut-replica", replicaConfig);
      for (NodeConfig config : List.of(primaryConfig, replicaConfig)) {
        config.set("data", "durability", always ? "always" : "application");
        if (trimmed) {
          config.set("data", "retention", "500ms");
          config.set("data", "retention-monitor-interval", "200ms");
        }
      }
      primary.start();
      replica.start();
      for (Subject subject : SUBJECTS) {
        create(primary, subject);
      }
      for (Subject subject : SUBJECTS) {
        replica.awaitPos(subject.db(), primary.pos(subject.db()));
      }
      // The recording begins with the start of a daemon on a disk that holds what there is now.
      boolean clean = random.nextBoolean();
      for (Node node : List.of(replica, primary)) {
        if (clean) {
          node.stop();
        } else {
          node.kill();
        }
      }
      Map<String, byte[]> primaryDisk = files(primary);
      Map<String, byte[]> replicaDisk = files(replica);
      traced(primaryConfig, dir, "p");
      traced(replicaConfig, dir, "r");
      primary.start();
      replica.start();
      Map<Subject, Acknowledged> acknowledged = write(primary, dir);
      // In order: what a kill interrupts may have happened, and strace does not tell.
      for (Node node : List.of(replica, primary)) {
        long pid = node.pid();
        if (node.stop() != 0) {
          throw new AssertionError("does not stop cleanly:\n" + node.log());
        }
        StraceLog.awaitEnd(dir.resolve(node == primary ? "p.strace" : "r.strace"), pid);
      }
      for (Node node : List.of(primary, replica)) {
        List<FileOperation> operations =
            StraceLog.read(dir.resolve(node == primary ? "p.strace" : "r.strace"), node.data());
        Map<String, byte[]> disk = node == primary ? primaryDisk : replicaDisk;
        requireComplete(disk, operations, node);
        int share = node == primary ? statesPerRecording * 3 / 4 : statesPerRecording / 4;
        Path made = dir.resolve(node == primary ? "p.states" : "r.states");
        int count =
            cut(
                disk,
                operations,
                acknowledged,
                always,
                trimmed,
                node == primary,
                share,
                node,
                made);
        out.printf(
            Locale.ROOT,
            "recording %d: %s after a %s, durability %s, %s log, %d file operations, %d states%n",
            number,
            node == primary ? "primary" : "replica",
            clean ? "clean stop" : "kill",
            always ? "always" : "application",
            trimmed ? "short" : "whole",
            operations.size(),
            count);
        states += count;
      }
    } finally {
      if (replica != null) {
        replica.close();
      }
      if (primary != null) {
        primary.close();
      }
      Commands.run("rm", "-rf", dir.toString());
    }
  }

  private static void traced(NodeConfig config, Path dir, String name) {
    Path java = StraceLog.tracedJava(dir.resolve(name + "-java"), dir.resolve(name + ".strace"));
    config.env("JAVA_HOME", java.toString());
  }

  /** The files of the databases, by their names in the data directory. */
  private static Map<String, byte[]> files(Node node) {
    Map<String, byte[]> all = new TreeMap<>();
    for (Path file : filesBelow(node.data().resolve("dbs"))) {
      all.put(node.data().relativize(file).toString(), bytes(file));
    }
    return all;
  }

  private static List<Path> filesBelow(Path dir) {
    try (Stream<Path> files = Files.walk(dir)) {
      return files.filter(Files::isRegularFile).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Null if there is no such file. */
  private static byte[] bytes(Path file) {
    try {
      return Files.exists(file) ? Files.readAllBytes(file) : null;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void create(Node node, Subject subject) {
    String mode = subject.style() == Workload.Style.WAL ? "WAL" : "DELETE";
    Commands.run(
            "sqlite3",
            node.db(subject.db()).toString(),
            "PRAGMA journal_mode = " + mode + ";" + String.join("; ", Workload.SCHEMA))
        .orThrow();
  }

  /** Runs all writers to their end. */
  private Map<Subject, Acknowledged> write(Node primary, Path dir) {
    List<Writer> writers = new ArrayList<>();
    try {
      for (Subject subject : SUBJECTS) {
        List<String> script =
            Workload.script(
                random,
                subject.writer(),
                subject.style(),
                TRANSACTIONS,
                false,
                subject.synchronous());
        writers.add(
            Writer.start(
                Writer.Kind.PYTHON,
                subject.writer(),
                subject.db(),
                primary.db(subject.db()),
                false,
                script,
                dir,
                dir.resolve("stop")));
      }
      Map<Subject, Acknowledged> acknowledged = new java.util.LinkedHashMap<>();
      for (int i = 0; i < writers.size(); i++) {
        writers.get(i).awaitEnd(LIMIT);
        Ledger.Notes notes = writers.get(i).notes();
        for (Ledger.Failure error : notes.errors()) {
          if (!error.message().contains("locked")) {
            throw new AssertionError("while recording, " + writers.get(i) + ": " + error);
          }
        }
        acknowledged.put(
            SUBJECTS.get(i), new Acknowledged(notes.acknowledgedMicros(), notes.uncertain()));
      }
      return acknowledged;
    } finally {
      writers.forEach(Writer::close);
    }
  }

  /** The recording leads to the files that are there; otherwise it lacks something. */
  private static void requireComplete(
      Map<String, byte[]> disk, List<FileOperation> operations, Node node) {
    for (Subject subject : SUBJECTS) {
      DiskModel model = model(disk, subject);
      of(subject, operations).forEach(model::apply);
      Map<String, byte[]> modelled = model.current();
      Set<String> names = new java.util.TreeSet<>(modelled.keySet());
      Path dir = node.data().resolve("dbs").resolve(subject.db());
      names.addAll(
          filesBelow(dir).stream().map(f -> node.data().relativize(f).toString()).toList());
      for (String name : names) {
        byte[] there = bytes(node.data().resolve(name));
        if (!Arrays.equals(modelled.get(name), there)) {
          throw new AssertionError(
              "the recording of file operations does not lead to "
                  + name
                  + " as it is on the disk"
                  + difference(modelled.get(name), there, name, operations));
        }
      }
    }
  }

  private static String difference(
      byte[] modelled, byte[] there, String name, List<FileOperation> operations) {
    if (modelled == null || there == null) {
      return ": it is " + (there == null ? "not there" : "there");
    }
    int at = Arrays.mismatch(modelled, there);
    StringBuilder text = new StringBuilder();
    text.append(": ").append(modelled.length).append(" bytes, not ").append(there.length);
    text.append(", other ones from ").append(at).append(" on; what touched that:");
    for (FileOperation operation : operations) {
      boolean touches =
          operation.kind() != FileOperation.Kind.WRITE
              || operation.offset() < 0
              || operation.offset() <= at && at < operation.offset() + operation.bytes().length;
      if (touches && (operation.path().equals(name) || name.equals(operation.target()))) {
        text.append("\n    ").append(operation.beganMicros()).append(" - ");
        text.append(operation.endedMicros()).append(' ').append(operation);
      }
    }
    return text.toString();
  }

  private static DiskModel model(Map<String, byte[]> disk, Subject subject) {
    DiskModel model = new DiskModel();
    disk.forEach(
        (name, bytes) -> {
          if (name.startsWith(subject.prefix())) {
            model.load(name, bytes);
          }
        });
    return model;
  }

  private static List<FileOperation> of(Subject subject, List<FileOperation> operations) {
    return operations.stream()
        .filter(
            o ->
                (o.path() + "/").startsWith(subject.prefix())
                    || o.kind() == FileOperation.Kind.SYNCFS)
        .toList();
  }

  // ------------------------------------------------------------ states

  /**
   * Makes states and checks them, some at a time: each is as large as its database.
   *
   * @return how many
   */
  private int cut(
      Map<String, byte[]> disk,
      List<FileOperation> all,
      Map<Subject, Acknowledged> acknowledged,
      boolean always,
      boolean trimmed,
      boolean primary,
      int count,
      Node recorded,
      Path dir) {
    List<State> batch = new ArrayList<>();
    int made = 0;
    int each = Math.max(1, count / SUBJECTS.size());
    for (Subject subject : SUBJECTS) {
      List<FileOperation> operations = of(subject, all);
      if (operations.isEmpty()) {
        throw new AssertionError("nothing was recorded of " + subject.db());
      }
      int[] cuts = random.ints(each, 0, operations.size() + 1).sorted().toArray();
      DiskModel model = model(disk, subject);
      int next = 0;
      for (int at = 0; at <= operations.size(); at++) {
        while (next < cuts.length && cuts[next] == at) {
          next++;
          DiskModel.Loss loss =
              DiskModel.Loss.values()[random.nextInt(DiskModel.Loss.values().length)];
          batch.add(
              state(
                  subject,
                  operations,
                  at,
                  loss,
                  model.afterPowerCut(loss, random),
                  dir,
                  acknowledged.get(subject),
                  primary && (always || subject.synchronous().equals("FULL")),
                  primary && trimmed && subject.synchronous().equals("OFF"),
                  (primary ? "p" : "r") + made++));
          if (batch.size() == STATES_PER_START) {
            check(batch, recorded.data(), primary);
            batch.clear();
          }
        }
        if (at < operations.size() && !(ignoreSyncs && isSync(operations.get(at)))) {
          model.apply(operations.get(at));
        }
      }
    }
    if (!batch.isEmpty()) {
      check(batch, recorded.data(), primary);
    }
    return made;
  }

  private static boolean isSync(FileOperation operation) {
    return switch (operation.kind()) {
      case FSYNC, FDATASYNC, SYNCFS -> true;
      default -> false;
    };
  }

  /** One of the many that a new segment is filled with. */
  private static boolean isFiller(FileOperation operation) {
    return operation.kind() == FileOperation.Kind.WRITE
        && operation.path().endsWith("/segment")
        && operation.bytes().length == 64 << 10;
  }

  private static State state(
      Subject subject,
      List<FileOperation> operations,
      int at,
      DiskModel.Loss loss,
      Map<String, byte[]> files,
      Path dir,
      Acknowledged acknowledged,
      boolean promises,
      boolean mayBeLost,
      String name) {
    // All before have ended, and no later one has begun: operations are in the order of their ends.
    long cut = at == operations.size() ? Long.MAX_VALUE : operations.get(at).beganMicros();
    List<String> promised = new ArrayList<>();
    acknowledged
        .micros()
        .forEach(
            (transaction, micros) -> {
              if (promises && micros < cut) {
                promised.add(transaction);
              }
            });
    StringBuilder origin = new StringBuilder();
    origin.append(subject.db()).append(", loss ").append(loss).append(", power cut before ");
    origin.append(at == operations.size() ? "the end" : operations.get(at)).append(", after:");
    List<FileOperation> before =
        operations.subList(0, at).stream().filter(o -> !isFiller(o)).toList();
    for (FileOperation operation :
        before.subList(Math.max(0, before.size() - OPERATIONS_TOLD), before.size())) {
      origin.append("\n    ").append(operation);
    }
    Path own = dir.resolve(name);
    try {
      Files.createDirectories(own.resolve("ltx"));
      for (Map.Entry<String, byte[]> file : files.entrySet()) {
        Path path = own.resolve(file.getKey().substring(subject.prefix().length()));
        Files.createDirectories(path.getParent());
        Files.write(path, file.getValue());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new State(
        name + "-" + subject.db(),
        subject,
        origin.toString(),
        own,
        promised,
        List.copyOf(acknowledged.micros().keySet()),
        acknowledged.uncertain(),
        mayBeLost);
  }

  // ------------------------------------------------------------ checking

  private void check(List<State> batch, Path recordedData, boolean primary) {
    NodeConfig config = primary ? NodeConfig.primary() : NodeConfig.replicaOf(Ports.free());
    Node node = Node.create("power-cut-check", config);
    // Now and then a state is what a kill could have left, to which more may be believed.
    boolean reboot = OtherBoot.possible() && random.nextInt(4) > 0;
    try (OtherBoot boot = reboot ? OtherBoot.of(node, config) : null) {
      Files.createDirectories(node.data());
      Files.copy(recordedData.resolve("clusterid"), node.data().resolve("clusterid"));
      for (State state : batch) {
        copy(state, node.data().resolve("dbs").resolve(state.name()));
      }
      node.start();
      for (State state : batch) {
        try {
          check(state, node, primary);
        } catch (AssertionError e) {
          fail(state, e.getMessage(), node.log());
        }
      }
      if (node.log().contains("\n\tat ")) {
        failures.add("a stack trace in the log:\n" + node.log());
        out.println(failures.get(failures.size() - 1));
      }
      if (node.stop() != 0) {
        throw new AssertionError("does not stop cleanly:\n" + node.log());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      node.close();
      for (State state : batch) {
        Commands.run("rm", "-rf", state.files().toString());
      }
    }
  }

  private static void copy(State state, Path dir) throws IOException {
    Files.createDirectories(dir.getParent());
    Commands.run("cp", "-r", state.files().toString(), dir.toString()).orThrow();
  }

  private static void check(State state, Node node, boolean primary) {
    String db = state.name();
    String quarantined = quarantined(node, db);
    if (quarantined != null && state.mayBeLost()) {
      return;
    }
    if (quarantined != null) {
      throw new AssertionError("quarantined: " + quarantined);
    }
    if (!Files.exists(node.db(db))) {
      throw new AssertionError("the database is gone");
    }
    Checks.Reading reading = Checks.Reading.of(node.db(db), db);
    Position pos = node.pos(db);
    DatabaseImage image = node.export(db);
    Checks.requireChecksum(image, pos, db);
    if (!Checks.Reading.of(image.file(), "the export").equals(reading)) {
      throw new AssertionError("the mount reads differently from the export");
    }
    image.delete();
    Set<String> present = new LinkedHashSet<>(reading.transactions());
    List<String> missing = new ArrayList<>(state.promised());
    missing.removeAll(present);
    if (!missing.isEmpty()) {
      throw new AssertionError("promised and not there: " + missing);
    }
    requirePrefix(state, present);
    if (primary) {
      Commands.run(
              "sqlite3",
              node.db(db).toString(),
              "UPDATE bank SET pad = randomblob(100) WHERE k = 1")
          .orThrow();
      if (node.pos(db).txid() != pos.txid() + 1) {
        throw new AssertionError("a transaction leads from " + pos + " to " + node.pos(db));
      }
      Checks.Reading.of(node.db(db), db + " after another transaction");
    }
  }

  /** No transaction without those before it. */
  private static void requirePrefix(State state, Set<String> present) {
    List<String> absent = new ArrayList<>();
    for (String transaction : state.committed()) {
      if (!present.contains(transaction)) {
        absent.add(transaction);
      } else if (!absent.isEmpty()) {
        throw new AssertionError(transaction + " is there, but not " + absent + " before it");
      }
    }
    List<String> unknown = new ArrayList<>(present);
    unknown.removeAll(state.committed());
    unknown.removeAll(state.uncertain());
    if (!unknown.isEmpty()) {
      throw new AssertionError("there, but rolled back: " + unknown);
    }
  }

  private static String quarantined(Node node, String db) {
    Path dir = node.data().resolve("quarantine");
    if (Files.isDirectory(dir)) {
      try (Stream<Path> files = Files.list(dir)) {
        return files
            .map(f -> f.getFileName().toString())
            .filter(f -> f.startsWith(db + "-"))
            .findAny()
            .map(f -> node.log().lines().filter(l -> l.contains(db + " ")).findFirst().orElse(f))
            .orElse(null);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return null;
  }

  private void fail(State state, String reason, String log) {
    Path dir = evidence.resolve(seed + "-" + state.name());
    StringBuilder text = new StringBuilder();
    text.append("FAILED ").append(state.name()).append(" of seed ").append(seed).append(": ");
    text.append(reason).append("\n  ").append(state.origin()).append("\n");
    log.lines().filter(l -> l.contains(state.name())).forEach(l -> text.append("\n  ").append(l));
    text.append("\n  evidence: ").append(dir).append('\n');
    try {
      copy(state, dir.resolve("dbs").resolve(state.name()));
      Files.writeString(dir.resolve("failure.txt"), text);
    } catch (IOException e) {
      text.append(e);
    }
    out.println(text);
    failures.add(text.toString());
  }
}

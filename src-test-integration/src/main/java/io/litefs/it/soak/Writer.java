package io.litefs.it.soak;

import io.litefs.it.Reaper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A process that runs a {@link Workload} script against one database and notes what it was told.
 */
final class Writer implements AutoCloseable {

  /** The SQLite it uses. */
  enum Kind {
    PYTHON,
    SHELL,
    JDBC
  }

  /**
   * What a writer puts up with.
   *
   * @param busyMillis how long SQLite waits for a lock
   * @param errors after so many in a row it ends by itself (not the shell, which ends at the first)
   */
  record Patience(int busyMillis, int errors) {
    static final Patience ORDINARY = new Patience(10_000, 4);
  }

  /** Not what a version manager puts on the path: its wrapper takes ten times as long to start. */
  private static final String PYTHON =
      Files.isExecutable(Path.of("/usr/bin/python3")) ? "/usr/bin/python3" : "python3";

  private final int number;
  private final String db;
  private final Kind kind;
  private final Path notes;
  private final Process process;

  private Writer(int number, String db, Kind kind, Path notes, Process process) {
    this.number = number;
    this.db = db;
    this.kind = kind;
    this.notes = notes;
    this.process = process;
  }

  /** As below, with ordinary patience. */
  static Writer start(
      Kind kind,
      int number,
      String db,
      Path database,
      boolean readOnly,
      List<String> script,
      Path dir,
      Path stop) {
    return start(kind, Patience.ORDINARY, number, db, database, readOnly, script, dir, stop);
  }

  /**
   * Starts a writer.
   *
   * @param database the file, which it does not create: what is left of a mount point when its
   *     daemon stops is an ordinary directory
   * @param dir where its script, its notes and its error output go
   * @param stop a file whose appearance ends it between two transactions (not the shell)
   */
  static Writer start(
      Kind kind,
      Patience patience,
      int number,
      String db,
      Path database,
      boolean readOnly,
      List<String> script,
      Path dir,
      Path stop) {
    try {
      Path file = dir.resolve("writer-" + number + ".script");
      Path notes = dir.resolve("writer-" + number + ".notes");
      Path errors = dir.resolve("writer-" + number + ".err");
      Files.write(file, kind == Kind.SHELL ? forShell(script, patience) : script);
      Files.createFile(notes);
      String uri = "file:" + database + "?mode=" + (readOnly ? "ro" : "rw");
      List<String> command = new ArrayList<>();
      switch (kind) {
        case PYTHON -> command.addAll(List.of(PYTHON, "-S", pythonScript(dir).toString()));
        case JDBC ->
            command.addAll(
                List.of(
                    System.getProperty("java.home") + "/bin/java",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-Xmx64m",
                    "-Xshare:auto",
                    "-cp",
                    System.getProperty("java.class.path"),
                    JdbcWriter.class.getName()));
        case SHELL ->
            // Into a file the shell would buffer what it prints by the block.
            command.addAll(List.of("stdbuf", "-oL", "sqlite3", "-batch", uri));
      }
      ProcessBuilder builder = new ProcessBuilder(command);
      if (kind == Kind.SHELL) {
        builder.redirectInput(file.toFile());
        builder.redirectOutput(ProcessBuilder.Redirect.appendTo(notes.toFile()));
        builder.redirectErrorStream(true);
      } else {
        command.addAll(
            List.of(
                uri,
                file.toString(),
                notes.toString(),
                stop.toString(),
                Integer.toString(patience.busyMillis()),
                Integer.toString(patience.errors())));
        builder.redirectErrorStream(true);
        builder.redirectOutput(errors.toFile());
      }
      Process process = builder.start();
      Reaper.process(process.pid());
      return new Writer(number, db, kind, notes, process);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static synchronized Path pythonScript(Path dir) throws IOException {
    Path script = dir.resolve("soak_writer.py");
    if (!Files.exists(script)) {
      try (InputStream in = Writer.class.getResourceAsStream("/io/litefs/it/soak_writer.py")) {
        Files.copy(in, script, StandardCopyOption.REPLACE_EXISTING);
      }
    }
    return script;
  }

  /** The shell takes no notes, but prints what we ask it to, and ends at the first error. */
  private static List<String> forShell(List<String> script, Patience patience) {
    List<String> lines = new ArrayList<>(List.of(".timeout " + patience.busyMillis(), ".bail on"));
    for (String step : script) {
      String rest = step.substring(Math.min(2, step.length()));
      switch (step.charAt(0)) {
        case 'B' -> lines.add(".print B " + rest);
        case 'C' -> lines.addAll(List.of("COMMIT;", ".print A " + rest));
        case 'R' -> lines.addAll(List.of("ROLLBACK;", ".print R " + rest));
        case 'P', 'S' -> lines.add(rest + ";");
        default -> {
          // It is open already.
        }
      }
    }
    return lines;
  }

  String db() {
    return db;
  }

  long pid() {
    return process.pid();
  }

  boolean isRunning() {
    return process.isAlive();
  }

  /** Whether it has begun its first transaction, or will never do. */
  boolean hasBegun() {
    try {
      return !process.isAlive() || Files.size(notes) > 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Ledger.Notes notes() {
    return Ledger.Notes.read(number, notes);
  }

  void kill() {
    process.destroyForcibly();
  }

  /**
   * @throws AssertionError if it has not ended within {@code limit}
   */
  void awaitEnd(Duration limit) {
    try {
      if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new AssertionError(
            this + " hangs; it waits in " + kernelStack() + "; kill -9 follows");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    Reaper.processGone(process.pid());
  }

  private String kernelStack() {
    try {
      return Files.readString(Path.of("/proc/" + process.pid() + "/stack")).replace('\n', ' ');
    } catch (IOException e) {
      return "an unknown place (" + e.getMessage() + ")";
    }
  }

  /** Ends it in any way. */
  @Override
  public void close() {
    process.destroyForcibly();
    try {
      if (process.waitFor(10, TimeUnit.SECONDS)) {
        Reaper.processGone(process.pid());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public String toString() {
    return "writer " + number + " (" + kind + ", " + db + ", pid " + process.pid() + ")";
  }

  /** Tells the writers of {@code stop} to end. */
  static void stop(Path stop) {
    try {
      Files.write(stop, new byte[0], StandardOpenOption.CREATE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

package io.litefs.it;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * A Python process that opens {@code <db>-lock}, locks with fcntl(2) and writes with SQLite, as the
 * client libraries of the original do. Locks it as a process, or as an open file description.
 */
final class LockingProgram implements AutoCloseable {

  /** What owns the locks. */
  enum Owner {
    PROCESS,
    DESCRIPTION
  }

  private static final String SCRIPT =
      """
      import errno, fcntl, os, signal, sqlite3, struct, sys

      database, owner = sys.argv[1:]
      GET, TRY, WAIT = (5, 6, 7) if owner == 'PROCESS' else (36, 37, 38)
      class Interrupted(Exception): pass
      def interrupted(*ignored): raise Interrupted()
      signal.signal(signal.SIGUSR1, interrupted)
      handled = []
      signal.signal(signal.SIGUSR2, lambda *ignored: handled.append(1))

      def call(command, type, fd=None):
          it = struct.pack('hhqqi4x', type, os.SEEK_SET, 72, 1, 0)
          try:
              return fcntl.fcntl(main if fd is None else fd, command, it)
          except OSError as e:
              return errno.errorcode[e.errno]
          except Interrupted:
              return 'interrupted'
      def done(result): return result if isinstance(result, str) else 'ok'
      def attempt(): return done(call(TRY, fcntl.F_WRLCK))
      def wait(): return done(call(WAIT, fcntl.F_WRLCK))
      def unlock(): return done(call(WAIT, fcntl.F_UNLCK))
      def holder():
          type, _, start, length, pid = struct.unpack('hhqqi4x', call(GET, fcntl.F_WRLCK))
          return 'none' if type == fcntl.F_UNLCK else '%d+%d by %d' % (start, length, pid)
      def open_and_close(): os.close(os.open(database + '-lock', os.O_RDWR)); return 'ok'
      def child_that_closes():
          child = os.fork()
          if child == 0: os.close(main); os._exit(0)
          return str(os.waitpid(child, 0)[1])
      def sql(statement):
          connection = None
          try:
              connection = sqlite3.connect(database)
              rows = connection.execute(statement).fetchall()
              connection.commit()
              return str(rows[0][0]) if rows else 'ok'
          except sqlite3.Error as e:
              return str(e)
          finally:
              if connection: connection.close()

      main = os.open(database + '-lock', os.O_RDWR)
      print('ready', flush=True)
      for line in sys.stdin:
          print(eval(line), flush=True)
      """;

  private final Process process;
  private final BufferedReader answers;
  private final Writer commands;

  /**
   * @param around a command that runs the program, such as {@code unshare -m}; may be none
   */
  LockingProgram(Path database, Owner owner, String... around) {
    List<String> command = new ArrayList<>(List.of(around));
    command.addAll(List.of("python3", "-S", "-c", SCRIPT, database.toString(), owner.name()));
    try {
      process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Reaper.process(process.pid());
    answers = process.inputReader(StandardCharsets.UTF_8);
    commands = process.outputWriter(StandardCharsets.UTF_8);
    if (!"ready".equals(answer())) {
      throw new AssertionError("no lock file for " + database);
    }
  }

  long pid() {
    return process.pid();
  }

  /** {@code ok}, or the name of an errno. */
  String attempt() {
    return ask("attempt()");
  }

  /** {@code ok}, {@code interrupted}, or the name of an errno. */
  String await() {
    return ask("wait()");
  }

  /** As {@link #await}, and returns once {@code node} knows that it waits. */
  CompletableFuture<String> awaiting(Node node) {
    say("wait()");
    Await.until(
        "pid " + pid() + " waits for the lock",
        () -> node.http().get("/litefs/status.json").body().matches("(?s).*" + waiter() + ".*"));
    return CompletableFuture.supplyAsync(this::answer);
  }

  private String waiter() {
    return "\"waiting\"\\s*:\\s*true\\s*,\\s*\"pid\"\\s*:\\s*" + pid() + "\\b";
  }

  String unlock() {
    return ask("unlock()");
  }

  /** The range and pid of who has the lock, or {@code none}. */
  String holder() {
    return ask("holder()");
  }

  /** Opens the file another time, and closes it. */
  void openAndClose() {
    require("ok", ask("open_and_close()"));
  }

  /** Starts a child that closes the descriptor that it inherits. */
  void childThatCloses() {
    require("0", ask("child_that_closes()"));
  }

  /** The first column of the first row, {@code ok} if there is none, or SQLite's error. */
  String sql(String statement) {
    return ask("sql('" + statement + "')");
  }

  /** How many signals were handled without interrupting the program. */
  int handled() {
    return Integer.parseInt(ask("len(handled)"));
  }

  void signal(String name) {
    Commands.run("kill", "-" + name, Long.toString(pid())).orThrow();
  }

  /** SIGKILL; returns when it is gone. */
  void kill() {
    process.destroyForcibly();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        throw new AssertionError("a killed process is still there: " + pid());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    Reaper.processGone(pid());
  }

  private static void require(String expected, String actual) {
    if (!expected.equals(actual)) {
      throw new AssertionError(actual);
    }
  }

  private String ask(String expression) {
    say(expression);
    return answer();
  }

  private void say(String expression) {
    try {
      commands.write(expression + "\n");
      commands.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String answer() {
    try {
      String line = answers.readLine();
      return line == null ? "the process has ended" : line;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    kill();
  }
}

package io.litefs.it;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * A shell on a machine of its own ({@code machine.sh}): its root directory, processes, hostname and
 * network are not those of the tests, and nothing of it remains. Needs root.
 */
final class Machine implements AutoCloseable {

  private static final String END = "@@@end ";
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private final String name;
  private final Path root;
  private final Process shell;
  private final Writer input;
  private final BlockingQueue<String> output = new LinkedBlockingQueue<>();
  private final List<Job> jobs = new ArrayList<>();

  /** The last command has not ended: the shell hears nothing. */
  private boolean isStuck;

  /** A command that goes on in the background. */
  private record Job(int number, String command, boolean isDaemon) {}

  /**
   * @param around what starts a command in the machine's network
   * @param hosts lines of its {@code /etc/hosts}
   */
  Machine(String name, List<String> around, String hosts) {
    this.name = name;
    try {
      root = Commands.workDirectory("machine");
      Path script = Files.createTempFile("litefs-it-machine", ".sh");
      try (InputStream in = Machine.class.getResourceAsStream("machine.sh")) {
        Files.write(script, in.readAllBytes());
      }
      Path hostsFile = Files.writeString(Files.createTempFile("litefs-it-hosts", ""), hosts);
      Reaper.tree(script);
      Reaper.tree(hostsFile);
      List<String> command = new ArrayList<>(around);
      // --kill-child: with this process everything on the machine dies, and its mounts go.
      command.addAll(
          List.of(
              "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"));
      command.addAll(
          List.of(
              "sh",
              script.toString(),
              root.toString(),
              name,
              hostsFile.toString(),
              Node.launcher().get(0)));
      ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
      builder.environment().putAll(Node.launcherEnvironment());
      shell = builder.start();
      Reaper.process(shell.pid());
      input = shell.outputWriter(StandardCharsets.UTF_8);
      Thread reader = new Thread(this::read, "machine-" + name);
      reader.setDaemon(true);
      reader.start();
      run("set -m").orThrow(); // So that what is started has a process group of its own.
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void read() {
    try (BufferedReader lines = shell.inputReader(StandardCharsets.UTF_8)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        output.add(line);
      }
    } catch (IOException e) {
      output.add(e.toString());
    }
    output.add(END + "the machine has ended");
  }

  /** Runs a command in the shell, whose directory and variables it may change. */
  Commands.Result run(String command) {
    StringBuilder text = new StringBuilder();
    try {
      // What it leaves without a line feed must not hide the end.
      input.write("{ " + command + "\n} </dev/null 2>&1; printf '\\n" + END + "%s\\n' $?\n");
      input.flush();
      long deadline = System.nanoTime() + LIMIT.toNanos();
      while (true) {
        String line = output.poll(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
        if (line == null) {
          isStuck = true;
          throw new AssertionError(name + "$ " + command + "\nhas not ended:\n" + text);
        }
        if (line.startsWith(END)) {
          String code = line.substring(END.length());
          if (!code.matches("\\d+")) {
            throw new AssertionError(name + "$ " + command + "\n" + text + code);
          }
          return new Commands.Result(Integer.parseInt(code), text.toString().strip() + "\n");
        }
        text.append(line).append('\n');
      }
    } catch (IOException e) {
      throw new AssertionError(name + "$ " + command + "\n" + text, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /** Writes a file, relative to {@code /srv}, where the shell begins. */
  void write(String path, String content) {
    run("mkdir -p $(dirname " + path + ") && cat >" + path + " <<'@@@EOF'\n" + content + "@@@EOF")
        .orThrow();
  }

  /**
   * Runs a command that does not end by itself, until a line of its output matches.
   *
   * @param shows an extended regular expression
   * @param isDaemon it goes on then, until {@link #interruptAll}; else it is interrupted
   * @return its output so far
   */
  String start(String command, String shows, boolean isDaemon) {
    int number = jobs.size();
    String log = "/opt/job" + number;
    run("{ " + command + "\n} >" + log + " 2>&1 & job" + number + "=$!").orThrow();
    jobs.add(new Job(number, command, isDaemon));
    Commands.Result shown =
        run(
            "(until grep -q -E '%s' %s; do kill -0 $job%d || exit 1; sleep 0.05; done)"
                .formatted(shows, log, number));
    String text = run("cat " + log).output();
    if (shown.exitCode() != 0) {
      throw new AssertionError(
          name + "$ " + command + "\nended without a line with '" + shows + "':\n" + text);
    }
    if (!isDaemon) {
      interrupt(jobs.get(number));
    }
    return text;
  }

  /**
   * Starts an agent of Consul: the server if its own address is the server's, else one that has
   * joined it. Returns when it answers at {@code 127.0.0.1:8500}.
   */
  void startConsul(String executable, String address, String server) {
    String role = address.equals(server) ? "-server -bootstrap-expect=1" : "-retry-join=" + server;
    run(executable
            + " agent -data-dir=/opt/consul -retry-interval=1s -bind="
            + address
            + " "
            + role
            + " >/opt/consul.log 2>&1 &")
        .orThrow();
    Commands.Result up =
        run(
            "for i in $(seq 200); do curl -sf -X PUT -d x localhost:8500/v1/kv/up && break; sleep 0.1;"
                + " done; curl -sf localhost:8500/v1/kv/up?raw || cat /opt/consul.log");
    if (!up.output().strip().endsWith("x")) {
      throw new AssertionError(name + ": Consul does not come up: " + up.output());
    }
  }

  /** As Ctrl-C: to the command and its children. */
  private void interrupt(Job job) {
    run("kill -INT -- -$job" + job.number);
    Commands.Result end = run("wait $job" + job.number);
    String log = run("cat /opt/job" + job.number).output();
    jobs.set(job.number, null);
    // With a command after '--' it is that one's exit code.
    if (job.isDaemon && end.exitCode() != 0 && end.exitCode() != 130
        || log.contains("\n\tat ")
        || log.contains("Traceback")) {
      throw new AssertionError(
          name + "$ " + job.command + "\nended with " + end.exitCode() + ":\n" + log);
    }
  }

  /** Ends what goes on, as Ctrl-C does; it must end well. */
  void interruptAll() {
    List.copyOf(jobs.stream().filter(job -> job != null).toList()).forEach(this::interrupt);
  }

  /** What goes on has said so far. */
  String logs() {
    StringBuilder all = new StringBuilder();
    for (Job job : jobs) {
      if (job != null && !isStuck) {
        all.append(name).append("$ ").append(job.command).append('\n');
        all.append(run("tail -n 40 /opt/job" + job.number).output());
      }
    }
    return all.toString();
  }

  @Override
  public void close() {
    shell.destroyForcibly();
    try {
      shell.waitFor(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    Reaper.processGone(shell.pid());
    Commands.run("rmdir", root.toString());
    Reaper.gone(root);
  }
}

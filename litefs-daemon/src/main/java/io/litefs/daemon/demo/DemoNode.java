package io.litefs.daemon.demo;

import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.FileReason;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** One daemon of the demonstration: a process, its mount, its data, its log. */
final class DemoNode {

  private static final Duration START_LIMIT = Duration.ofSeconds(30);
  private static final Duration STOP_LIMIT = Duration.ofSeconds(15);

  private final String name;
  private final Path mount;
  private final Path data;
  private final int port;
  private final Path configFile;
  private final Path logFile;
  private Process process;

  /**
   * @param mount the mount point, an existing directory
   * @param work where configuration, log and data go
   * @param port of the API, on the loopback interface
   */
  DemoNode(String name, Path mount, Path work, int port) {
    this.name = name;
    this.mount = mount;
    this.data = work.resolve(name);
    this.port = port;
    this.configFile = work.resolve(name + ".yml");
    this.logFile = work.resolve(name + ".log");
  }

  Path mount() {
    return mount;
  }

  URI url() {
    return URI.create("http://127.0.0.1:" + port);
  }

  Path logFile() {
    return logFile;
  }

  Process process() {
    return process;
  }

  /** Starts the daemon. {@code primary} is the primary's URL, the own one on the primary itself. */
  void start(JavaCommand litefs, URI primary) throws CommandException {
    try {
      Files.writeString(configFile, config(primary));
      process =
          new ProcessBuilder(litefs.with("mount", "-config", configFile.toString()))
              .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")))
              .redirectOutput(logFile.toFile())
              .redirectErrorStream(true)
              .start();
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot start the " + name, e), e);
    }
  }

  private String config(URI primary) {
    return """
        fuse:
          dir: '%s'
        data:
          dir: '%s'
        http:
          addr: '127.0.0.1:%d'
        lease:
          type: static
          hostname: 'demo-primary'
          advertise-url: '%s'
          candidate: %b
          reconnect-delay: 100ms
        """
        .formatted(
            mount.toString().replace("'", "''"),
            data.toString().replace("'", "''"),
            port,
            primary,
            primary.equals(url()));
  }

  /**
   * Returns once the node is primary, or connected to it. Asks the API every few milliseconds:
   * there is no other sign from outside.
   */
  void awaitRole() throws CommandException, InterruptedException {
    ApiClient api = new ApiClient(url());
    long deadline = System.nanoTime() + START_LIMIT.toNanos();
    while (true) {
      try {
        ApiClient.Info info = api.info();
        if (info.isPrimary() || !info.primaryHostname().isEmpty()) {
          return;
        }
      } catch (CommandException e) {
        if (System.nanoTime() - deadline > 0) {
          throw failed("did not answer within " + START_LIMIT.toSeconds() + " s");
        }
      }
      if (process.waitFor(10, TimeUnit.MILLISECONDS)) {
        throw failed("ended with exit code " + process.exitValue());
      }
      if (System.nanoTime() - deadline > 0) {
        throw failed("found no primary within " + START_LIMIT.toSeconds() + " s");
      }
    }
  }

  private CommandException failed(String what) {
    return new CommandException("the " + name + " " + what + lastLogLine());
  }

  private String lastLogLine() {
    try {
      List<String> lines = Files.readAllLines(logFile);
      return lines.isEmpty() ? "" : "; its log ends with: " + lines.get(lines.size() - 1);
    } catch (IOException e) {
      return "; its log " + logFile + " cannot be read";
    }
  }

  /** Asks the daemon to stop, which unmounts. */
  void requestStop() {
    if (process != null) {
      process.destroy();
    }
  }

  /** Waits for the end after {@link #requestStop}; a daemon that does not end is killed. */
  void awaitStop() throws InterruptedException {
    if (process != null && !process.waitFor(STOP_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
      process.destroyForcibly().waitFor();
    }
  }
}

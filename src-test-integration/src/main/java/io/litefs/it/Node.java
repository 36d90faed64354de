package io.litefs.it;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A litefs daemon in a process of its own, with its configuration, mount point, data directory and
 * log in one home directory. May be started and stopped many times; port and home stay.
 *
 * <p>System properties: {@code litefs.launcher} (default: {@code litefs} at the root of the
 * checkout), {@code litefs.java.home} (JDK that runs the daemon; default: that of the tests),
 * {@code litefs.it.dir} (where homes are made).
 */
public final class Node implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path home;
  private final int port;
  private final Http http;
  private NodeConfig config;
  private Process process;
  private EventStream events;
  private long logStart;

  private Node(Path home, NodeConfig config) {
    this.home = home;
    this.config = config;
    this.port = Ports.free();
    this.http = new Http(config.host, port);
  }

  /** A node that is not running yet. */
  public static Node create(String name, NodeConfig config) {
    try {
      Path home = Commands.workDirectory(name).toRealPath();
      Files.createDirectory(home.resolve("mount"));
      return new Node(home, config);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static Node started(String name, NodeConfig config) {
    Node node = create(name, config);
    try {
      return node.start();
    } catch (Throwable e) {
      node.close();
      throw e;
    }
  }

  /** The launcher's command, to which arguments are added. */
  public static List<String> launcher() {
    String configured = System.getProperty("litefs.launcher", "");
    if (!configured.isEmpty()) {
      return List.of(configured);
    }
    for (Path dir = Path.of("").toAbsolutePath(); dir != null; dir = dir.getParent()) {
      Path launcher = dir.resolve("litefs");
      if (Files.isRegularFile(launcher) && Files.isExecutable(launcher)) {
        return List.of(launcher.toString());
      }
    }
    throw new AssertionError(
        "no launcher `litefs` above " + Path.of("").toAbsolutePath() + "; set -Dlitefs.launcher=");
  }

  /** Runs a litefs command to its end. */
  public static Commands.Result litefs(Duration limit, String... arguments) {
    List<String> command = new ArrayList<>(launcher());
    command.addAll(List.of(arguments));
    return Commands.run(limit, launcherEnvironment(), command);
  }

  /** What the launcher needs to know: which Java, and that it must test the jar that is there. */
  public static Map<String, String> launcherEnvironment() {
    return Map.of("JAVA_HOME", javaHome(), "LITEFS_NO_BUILD", "1");
  }

  public static String javaHome() {
    return System.getProperty("litefs.java.home", System.getProperty("java.home"));
  }

  public NodeConfig config() {
    return config;
  }

  /** Takes effect at the next start. */
  public Node configure(NodeConfig newConfig) {
    config = newConfig;
    return this;
  }

  /** Starts the daemon and waits until it has mounted and its API answers. */
  public Node start() {
    launch();
    Await.until(
        Await.LONG,
        () -> "node is mounted and answers; its log:\n" + log(),
        () -> {
          if (!process.isAlive()) {
            throw new IllegalStateException("exit code " + process.exitValue());
          }
          // A predecessor's dead mount looks mounted too, and still answers from the kernel's
          // cache: the log decides. Of another program only the rest can be asked.
          return (!config.launcher.equals(launcher()) || log().contains(": mounted " + mount()))
              && Mounts.isMounted(mount())
              && http.get("/info").statusCode() == 200;
        },
        () -> !process.isAlive());
    return this;
  }

  /** Starts the process and waits for nothing. */
  public Node launch() {
    if (process != null && process.isAlive()) {
      throw new IllegalStateException("already running: " + home);
    }
    try {
      Path yaml = home.resolve("litefs.yml");
      Files.writeString(yaml, config.yaml(mount(), data(), port));
      Path log = home.resolve("node.log");
      logStart = Files.exists(log) ? Files.size(log) : 0;
      List<String> command = new ArrayList<>(config.around);
      command.addAll(config.launcher);
      command.addAll(List.of("mount", "-config", yaml.toString()));
      if (!config.command.isEmpty()) {
        command.add("--");
        command.addAll(config.command);
      }
      ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
      builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()));
      builder.redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")));
      builder.environment().putAll(launcherEnvironment());
      builder.environment().putAll(config.environment);
      Reaper.mount(mount());
      Reaper.mount(lockMount());
      process = builder.start();
      Reaper.process(process.pid());
      return this;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Launches a daemon that is expected to give up by itself; returns its exit code and what it
   * said.
   */
  public Commands.Result launchAndAwaitExit(Duration limit) {
    launch();
    return new Commands.Result(awaitExit(limit), log());
  }

  public int awaitExit(Duration limit) {
    try {
      if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new AssertionError(
            "daemon "
                + process.pid()
                + " still runs after "
                + limit
                + "; its log:\n"
                + log()
                + threads()
                + kernelStacks());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    Reaper.processGone(process.pid());
    forgetEvents();
    return process.exitValue();
  }

  /** SIGTERM, then waits for the end; the mount must be gone by then. Returns the exit code. */
  public int stop() {
    process.destroy();
    int code = awaitExit(Duration.ofSeconds(30));
    for (Path mount : List.of(mount(), lockMount())) {
      if (Mounts.isMounted(mount)) {
        throw new AssertionError("stopped, but still mounted: " + mount + "; log:\n" + log());
      }
      Reaper.gone(mount);
    }
    return code;
  }

  /**
   * SIGKILL, then waits until the process is really gone. Leaves the dead mount. One that hangs in
   * the kernel (docs/fuse.md) is freed as the next start would do it.
   */
  public void kill() {
    process.destroyForcibly();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        System.err.println("killed, and hangs; its connection is aborted" + kernelStacks());
        Commands.run("timeout", "10", "umount", "-f", mount().toString());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    awaitExit(Duration.ofSeconds(60));
  }

  public void signal(String name) {
    Commands.run("kill", "-" + name, Long.toString(process.pid())).orThrow();
  }

  public boolean isRunning() {
    return process != null && process.isAlive();
  }

  /** Whether it has ended by SIGABRT, as of a failed assertion, or SIGSEGV. */
  public boolean hasCrashed() {
    return process != null
        && !process.isAlive()
        && (process.exitValue() == 128 + 6 || process.exitValue() == 128 + 11);
  }

  public long pid() {
    return process.pid();
  }

  public int port() {
    return port;
  }

  public Path home() {
    return home;
  }

  public Path mount() {
    return home.resolve("mount");
  }

  /** Where lock files are mounted once one was used. */
  public Path lockMount() {
    return home.resolve(".mount.locks");
  }

  public Path data() {
    return home.resolve("data");
  }

  /** A file of the mount. */
  public Path db(String name) {
    return mount().resolve(name);
  }

  /**
   * A file of a database's folder in the data directory: {@code database}, {@code journal}, {@code
   * wal}, {@code shm}, {@code ltx}.
   */
  public Path backing(String db, String file) {
    return data().resolve("dbs").resolve(db).resolve(file);
  }

  /** Names of the database's .ltx files in order; complete only after a clean stop. */
  public List<String> ltxFiles(String db) {
    Path dir = backing(db, "ltx");
    if (!Files.isDirectory(dir)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(dir)) {
      return files
          .map(f -> f.getFileName().toString())
          .filter(f -> f.endsWith(".ltx"))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Http http() {
    return http;
  }

  public JsonNode info() {
    try {
      return JSON.readTree(http.get("/info").body());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Metrics metrics() {
    return Metrics.parse(http.get("/metrics").body());
  }

  /** Requests that the mount has answered so far, by their kind in lower case. */
  public Map<String, Long> requestCounts() {
    Map<String, Long> counts = new java.util.TreeMap<>();
    metrics()
        .by("litefs_fuse_request_count", "op")
        .forEach((op, count) -> counts.put(op.toLowerCase(java.util.Locale.ROOT), count));
    return counts;
  }

  /** The log since the last start. */
  public String log() {
    try (RandomAccessFile file = new RandomAccessFile(home.resolve("node.log").toFile(), "r")) {
      file.seek(logStart);
      byte[] bytes = new byte[(int) (file.length() - logStart)];
      file.readFully(bytes);
      return new String(bytes, StandardCharsets.UTF_8);
    } catch (IOException e) {
      return "(no log: " + e.getMessage() + ")";
    }
  }

  /** Stack dump of the daemon, for failures; empty if it does not answer. */
  private String threads() {
    Commands.Result dump =
        Commands.run(
            Duration.ofSeconds(20),
            Map.of(),
            List.of("timeout", "10", javaHome() + "/bin/jstack", Long.toString(pid())));
    return dump.exitCode() == 0 ? dump.output() : "";
  }

  /** Where each thread is in the kernel, for failures: what cannot be killed shows there. */
  private String kernelStacks() {
    return Commands.run(
            "sh",
            "-c",
            "for t in /proc/$1/task/*; do echo \"$t $(cat \"$t/comm\" \"$t/wchan\" | tr '\\n' ' ')\"; cat \"$t/stack\"; done 2>&1",
            "sh",
            Long.toString(pid()))
        .output();
  }

  /** The position as the mount's {@code <db>-pos} shows it. */
  public Position pos(String db) {
    try {
      return Position.parse(Files.readString(db(db + "-pos")));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until this node shows {@code pos} or has gone beyond; woken by the node's events. */
  public void awaitPos(String db, Position pos) {
    awaitPos(db, pos, Await.LONG);
  }

  public void awaitPos(String db, Position pos, Duration limit) {
    long deadline = System.nanoTime() + limit.toNanos();
    Position last = null;
    while (true) {
      EventStream stream = events();
      int seen = stream.count();
      try {
        last = pos(db);
      } catch (UncheckedIOException e) {
        last = null;
      }
      if (pos.equals(last) || last != null && last.txid() > pos.txid()) {
        return;
      }
      if (System.nanoTime() > deadline) {
        throw new AssertionError(
            db
                + " is at "
                + last
                + " and not at "
                + pos
                + " after "
                + limit
                + "; log:\n"
                + log()
                + threads());
      }
      // The limit here only matters for a change of which no event tells, such as a database that
      // vanishes.
      stream.awaitMoreThan(seen, 100);
    }
  }

  private synchronized EventStream events() {
    if (events == null || events.ended()) {
      events = new EventStream(http);
    }
    return events;
  }

  private synchronized void forgetEvents() {
    if (events != null) {
      events.close();
      events = null;
    }
  }

  /** Resident set of the daemon in bytes. */
  public long residentBytes() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc", Long.toString(pid()), "status"))) {
        if (line.startsWith("VmRSS:")) {
          return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    throw new AssertionError("no VmRSS of " + pid());
  }

  /**
   * Resident set of the daemon in bytes, after the JVM has given back what it does not use. Garbage
   * and the compiler's freed memory come and go with tens of megabytes; what is held is to be
   * compared.
   */
  public long heldBytes() {
    String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
    for (String command : List.of("GC.run", "System.trim_native_heap")) {
      Commands.run(jcmd, Long.toString(pid()), command).orThrow();
    }
    return residentBytes();
  }

  /** Downloads the database through {@code GET /export}. */
  public DatabaseImage export(String db) {
    try {
      Path file = Files.createTempFile(home, "export-", ".db");
      var response = http.download("/export?name=" + Http.encode(db), file);
      if (response.statusCode() != 200) {
        throw new AssertionError(
            "export of " + db + ": " + response.statusCode() + ' ' + Files.readString(file));
      }
      return new DatabaseImage(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes bytes to a file of the mount as {@code cat >} does. */
  public void write(String name, byte[] bytes) throws IOException {
    Files.write(
        db(name),
        bytes,
        StandardOpenOption.CREATE,
        StandardOpenOption.TRUNCATE_EXISTING,
        StandardOpenOption.WRITE);
  }

  /** Ends the daemon in any way and removes what it left. */
  @Override
  public void close() {
    if (process != null && process.isAlive()) {
      process.destroy();
      try {
        if (!process.waitFor(15, TimeUnit.SECONDS)) {
          process.descendants().forEach(ProcessHandle::destroyForcibly);
          process.destroyForcibly();
          process.waitFor(10, TimeUnit.SECONDS);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        process.destroyForcibly();
      }
    }
    forgetEvents();
    if (process != null) {
      Reaper.processGone(process.pid());
    }
    Mounts.unmountIfMounted(lockMount());
    Reaper.gone(lockMount());
    Mounts.unmountIfMounted(mount());
    Reaper.gone(mount());
    if (!Boolean.getBoolean("litefs.it.keep") && !Mounts.isMounted(mount())) {
      Commands.run("rm", "-rf", home.toString());
    }
    Reaper.gone(home);
  }
}

package io.litefs.daemon.doctor;

import io.litefs.config.LeaseConfig;
import io.litefs.config.LitefsConfig;
import io.litefs.store.DirectoryLock;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Looks at everything that litefs needs from a machine, and changes nothing. Each check stands
 * alone: one that fails keeps none of the others from being made.
 */
public final class Doctor {

  private static final Duration PATIENCE = Duration.ofSeconds(3);
  private static final long LOW_SPACE = 1L << 30;
  private static final Duration CLOCK_WARN = Duration.ofSeconds(2);

  private final LitefsConfig config;
  private final boolean root = "root".equals(System.getProperty("user.name"));
  private final List<Finding> findings = new ArrayList<>();

  public Doctor(LitefsConfig config) {
    this.config = config;
  }

  /** Makes all checks; takes some seconds if something does not answer. */
  public List<Finding> examine() throws InterruptedException {
    fuseDevice();
    fuseLibrary();
    fusermount();
    kernel();
    mountPoint();
    boolean running = dataDirectory();
    port(running);
    cluster();
    sqlite();
    return List.copyOf(findings);
  }

  private void add(Finding finding) {
    findings.add(finding);
  }

  // ------------------------------------------------------------ FUSE

  private void fuseDevice() {
    Path device = Path.of("/dev/fuse");
    if (!Files.exists(device)) {
      add(
          Finding.fail(
              "/dev/fuse",
              "is missing",
              "load the module (modprobe fuse); in a container: --device /dev/fuse --cap-add SYS_ADMIN"));
    } else if (!Files.isReadable(device) || !Files.isWritable(device)) {
      add(
          Finding.fail(
              "/dev/fuse", "cannot be opened by this user", "chmod 666 /dev/fuse, or run as root"));
    } else {
      add(Finding.ok("/dev/fuse", "is there and may be opened"));
    }
  }

  private void fuseLibrary() {
    List<Path> places =
        Stream.of("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
            .map(Path::of)
            .toList();
    Optional<Path> library =
        places.stream()
            .flatMap(place -> Stream.concat(Stream.of(place), subdirectories(place)))
            .map(place -> place.resolve("libfuse.so.2"))
            .filter(Files::exists)
            .findFirst();
    add(
        library
            .map(path -> Finding.ok("libfuse", path + " is there"))
            .orElseGet(
                () ->
                    Finding.fail(
                        "libfuse",
                        "libfuse.so.2 is not installed",
                        "apt-get install libfuse2 (on newer releases libfuse2t64)")));
  }

  private static Stream<Path> subdirectories(Path dir) {
    try (Stream<Path> all = Files.list(dir)) {
      return all.filter(path -> path.toString().endsWith("-linux-gnu")).toList().stream();
    } catch (IOException e) {
      return Stream.empty(); // no such directory
    }
  }

  private void fusermount() {
    if (root) {
      return;
    }
    boolean there =
        Stream.of(System.getenv().getOrDefault("PATH", "").split(":"))
            .anyMatch(dir -> Files.isExecutable(Path.of(dir, "fusermount")));
    add(
        there
            ? Finding.ok("fusermount", "is there")
            : Finding.fail(
                "fusermount",
                "is not on the PATH, and only root can mount without it",
                "apt-get install fuse3, or run as root"));
    if (config.fuse().allowOther()
        && !lines(Path.of("/etc/fuse.conf")).contains("user_allow_other")) {
      add(
          Finding.fail(
              "fuse.allow-other",
              "/etc/fuse.conf does not allow it to other users than root",
              "add the line user_allow_other to /etc/fuse.conf"));
    }
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file, StandardCharsets.ISO_8859_1).stream()
          .map(String::strip)
          .toList();
    } catch (IOException e) {
      return List.of(); // not there or not to be read: it says nothing
    }
  }

  /** Open-file-description locks came with 3.15. */
  private void kernel() {
    String release = String.join("", lines(Path.of("/proc/sys/kernel/osrelease")));
    String[] parts = release.split("[^0-9]+");
    int major = parts.length > 0 && !parts[0].isEmpty() ? Integer.parseInt(parts[0]) : 0;
    int minor = parts.length > 1 ? Integer.parseInt(parts[1]) : 0;
    add(
        major > 3 || major == 3 && minor >= 15
            ? Finding.ok("kernel", release)
            : Finding.fail(
                "kernel",
                release + " has no open-file-description locks",
                "use Linux 4.4 or newer"));
  }

  // ------------------------------------------------------------ places

  private void mountPoint() {
    Path dir = config.fuse().dir();
    String mounted =
        lines(Path.of("/proc/self/mountinfo")).stream()
            .filter(line -> line.split(" ")[4].replace("\\040", " ").equals(dir.toString()))
            .map(line -> line.substring(line.indexOf(" - ") + 3).split(" ")[0])
            .reduce((below, top) -> top)
            .orElse("");
    // Never a look into a mount: it may be dead, or its daemon stuck.
    if (mounted.equals("fuse.litefs")) {
      add(Finding.ok("fuse.dir", dir + " is mounted by litefs"));
    } else if (!mounted.isEmpty()) {
      add(
          Finding.fail(
              "fuse.dir",
              "something else (" + mounted + ") is mounted on " + dir,
              "umount " + dir + ", or set fuse.dir"));
    } else if (Files.exists(dir) && subdirectoryHasFiles(dir)) {
      add(
          Finding.fail(
              "fuse.dir",
              dir + " is not empty",
              "move what is in it elsewhere, and into the mount when it is there"));
    } else {
      add(Finding.ok("fuse.dir", dir + " can be mounted on"));
    }
  }

  private static boolean subdirectoryHasFiles(Path dir) {
    try (Stream<Path> files = Files.list(dir)) {
      return files.findAny().isPresent();
    } catch (IOException e) {
      return true; // no directory, or not to be read
    }
  }

  /** Returns whether a daemon uses it. */
  private boolean dataDirectory() {
    Path dir = config.data().dir();
    Path existing = dir;
    while (existing != null && !Files.exists(existing)) {
      existing = existing.getParent();
    }
    if (existing == null || !Files.isWritable(existing)) {
      add(
          Finding.fail(
              "data.dir",
              existing + " cannot be written to by this user",
              "make it writable, or set data.dir"));
      return false;
    }
    boolean running = false;
    try {
      if (Files.isDirectory(dir)) {
        try (DirectoryLock lock = DirectoryLock.tryLock(dir)) {
          running = lock == null;
        }
      }
      long free = Files.getFileStore(existing).getUsableSpace();
      String text =
          dir
              + (running ? " is used by a running litefs, " : " is free to use, ")
              + free / 1000000
              + " MB free";
      add(
          free < LOW_SPACE
              ? Finding.warn("data.dir", text, "make room: commits fail when the disk is full")
              : Finding.ok("data.dir", text));
    } catch (IOException e) {
      add(Finding.fail("data.dir", dir + ": " + e.getMessage(), "correct data.dir"));
    }
    return running;
  }

  private void port(boolean running) {
    InetSocketAddress address = config.http().addr().toListenAddress();
    if (address.isUnresolved()) {
      add(
          Finding.fail(
              "http.addr", config.http().addr() + ": the host is unknown", "correct http.addr"));
      return;
    }
    if (running) {
      return; // it has it
    }
    try (ServerSocket socket = new ServerSocket()) {
      socket.bind(address);
      add(Finding.ok("http.addr", config.http().addr() + " is free"));
    } catch (IOException e) {
      add(
          Finding.fail(
              "http.addr",
              config.http().addr() + ": " + e.getMessage(),
              "stop what listens there (ss -ltnp), or set http.addr"));
    }
  }

  // ------------------------------------------------------------ others

  private void cluster() throws InterruptedException {
    LeaseConfig lease = config.lease();
    if (lease.type() == LeaseConfig.Type.CONSUL) {
      URI url = lease.consul().url().orElseThrow();
      ask("Consul", url, "/v1/status/leader", "start Consul, or correct lease.consul.url");
    } else if (!lease.candidate()) {
      ask(
          "primary",
          lease.advertiseUrl(),
          "/info",
          "start the primary, or correct lease.advertise-url");
    }
  }

  private void ask(String what, URI url, String path, String remedy) throws InterruptedException {
    String base = url.toString().replaceAll("/+$", "");
    HttpClient http =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(PATIENCE)
            .build();
    try {
      HttpResponse<Void> answer =
          http.send(
              HttpRequest.newBuilder(
                      URI.create(url.getScheme() + "://" + url.getRawAuthority() + path))
                  .timeout(PATIENCE)
                  .build(),
              HttpResponse.BodyHandlers.discarding());
      if (answer.statusCode() != 200) {
        add(Finding.fail(what, base + " answers " + answer.statusCode(), remedy));
        return;
      }
      add(Finding.ok(what, base + " answers"));
      answer.headers().firstValue("Date").ifPresent(date -> clock(what, date));
    } catch (IOException | IllegalArgumentException e) {
      String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
      add(Finding.fail(what, base + " does not answer: " + reason, remedy));
    }
  }

  private void clock(String what, String date) {
    try {
      Instant theirs = ZonedDateTime.parse(date, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
      // Their clock shows whole seconds.
      Duration apart = Duration.between(theirs, Instant.now()).abs();
      String text = "is about " + apart.toSeconds() + " s from that of the " + what;
      add(
          apart.compareTo(CLOCK_WARN) > 0
              ? Finding.warn(
                  "clock",
                  text,
                  "synchronise the clocks (timedatectl set-ntp true): lags are wrong")
              : Finding.ok("clock", text));
    } catch (DateTimeParseException e) {
      add(Finding.warn("clock", "the " + what + " tells no time", ""));
    }
  }

  private void sqlite() throws InterruptedException {
    sqlite("sqlite3", "sqlite3", "--version");
    sqlite("Python's SQLite", "python3", "-c", "import sqlite3; print(sqlite3.sqlite_version)");
  }

  private void sqlite(String what, String... command) throws InterruptedException {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      if (!process.waitFor(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
        process.destroyForcibly();
        return;
      }
      String text = new String(process.getInputStream().readNBytes(1000), StandardCharsets.UTF_8);
      SqliteVersion.find(text)
          .ifPresent(
              version ->
                  add(
                      version.hasWalBug()
                          ? Finding.warn(
                              what,
                              version
                                  + " has the bug of 3.7.0 to 3.51.2 by which a WAL that begins anew at a bad moment loses a commit",
                              "use SQLite 3.51.3 or newer, or a journal_mode other than WAL")
                          : Finding.ok(what, version.toString())));
    } catch (IOException e) {
      // Not installed; an application may bring its own.
      return;
    }
  }
}

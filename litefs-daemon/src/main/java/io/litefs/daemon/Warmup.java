package io.litefs.daemon;

import io.litefs.config.ConfigException;
import io.litefs.config.ConfigLoader;
import io.litefs.config.LeaseConfig;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.demo.EventReader;
import io.litefs.fuse.Keepers;
import io.litefs.lease.PrimaryInfo;
import io.litefs.lease.StaticLeaser;
import io.litefs.ltx.Txid;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Goes the way of a start once, so that the JVM can write the classes it loads into an archive
 * ({@code -XX:ArchiveClassesAtExit}). The launcher runs it; it is no command. What cannot be done
 * here (no FUSE, no free port) is left out of the archive, not an error.
 */
final class Warmup {

  private static final long LIMIT_MILLIS = 60_000;

  /** With a rollback journal, and with a WAL. */
  private static final byte[] FILE_FORMATS = {1, 2};

  private Warmup() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    Path dir = Files.createTempDirectory("litefs-warmup");
    Thread watchdog =
        new Thread(
            () -> {
              try {
                Thread.sleep(LIMIT_MILLIS);
                giveUp(dir);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "watchdog");
    watchdog.setDaemon(true);
    watchdog.start();

    try {
      commandLines();
      nodes(dir);
    } catch (CommandException | ConfigException e) {
      System.err.println("litefs: warm-up is not complete: " + e.getMessage());
    } finally {
      removeTree(dir);
    }
    System.exit(0);
  }

  /** Ends at once, but leaves no dead mount behind. */
  private static void giveUp(Path dir) throws InterruptedException {
    for (String node : List.of("first", "second")) {
      String mount = dir.resolve(node).resolve("mount").toString();
      for (String[] command :
          new String[][] {{"umount", "-l", mount}, {"fusermount", "-u", "-z", mount}}) {
        try {
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start()
              .waitFor(5, TimeUnit.SECONDS);
        } catch (IOException e) {
          System.err.println("litefs: cannot remove " + mount + ": " + e.getMessage());
        }
      }
    }
    Runtime.getRuntime().halt(1);
  }

  private static void commandLines() {
    PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream());
    for (String command : List.of("mount", "status", "import", "export", "demo", "version")) {
      new Main(nowhere, nowhere, Keepers::start).run(command, "--help");
    }
    new Main(nowhere, nowhere, Keepers::start).run("version");
  }

  /**
   * Two nodes, transactions in each journal mode that go from one to the other, and the lease there
   * and back under an application's hands: writers wait for the classes of that way.
   */
  private static void nodes(Path dir)
      throws IOException, CommandException, ConfigException, InterruptedException {
    int[] ports = freePorts();
    ApiClient first = new ApiClient(url(ports[0]));
    ApiClient second = new ApiClient(url(ports[1]));
    LitefsConfig firstConfig = config(dir.resolve("first"), ports[0]);
    LitefsConfig secondConfig = config(dir.resolve("second"), ports[1]);
    WarmupLease lease = new WarmupLease();
    Logs.configure(firstConfig.log());
    try (Keepers keepers = Keepers.start();
        Node one = new Node(firstConfig, keepers, false, (config, self) -> lease.of(self));
        Node two = new Node(secondConfig, keepers, false, (config, self) -> lease.of(self))) {
      one.start();
      one.ready().join();
      two.start();
      two.ready().join();
      EventReader events = new EventReader(url(ports[1]));
      for (byte fileFormat : FILE_FORMATS) {
        String name = name(fileFormat);
        byte[] database = emptyDatabase(fileFormat);
        for (long txid = 1; txid <= 2; txid++) {
          first.importDatabase(name, database.length, () -> new ByteArrayInputStream(database));
          database[27]++;
          events.await(name, new Txid(txid), Duration.ofSeconds(5));
        }
        first.export(name, (in, pos, size) -> in.readAllBytes());
      }
      for (String path : List.of("/metrics", "/litefs/status", "/litefs/status.json")) {
        try (InputStream answer = url(ports[0]).resolve(path).toURL().openStream()) {
          answer.readAllBytes();
        }
      }
      try (WarmupWriter application = WarmupWriter.start()) {
        commit(application, dir.resolve("first"));
        second.promote();
        commit(application, dir.resolve("second"));
        first.promote();
        commit(application, dir.resolve("first"));
      } catch (IOException e) {
        System.err.println("litefs: warm-up without handoffs: " + e.getMessage());
      }
    }
    staticLease(firstConfig.lease());
  }

  private static void commit(WarmupWriter application, Path home) {
    try {
      for (int i = 0; i < 2; i++) {
        for (byte fileFormat : FILE_FORMATS) {
          application.commit(home.resolve("mount").resolve(name(fileFormat)));
        }
      }
    } catch (IOException e) {
      System.err.println("litefs: warm-up goes on without an application: " + e.getMessage());
    }
  }

  private static String name(byte fileFormat) {
    return "warmup" + fileFormat;
  }

  private static void staticLease(LeaseConfig config) throws IOException {
    PrimaryInfo self = new PrimaryInfo(config.hostname(), config.advertiseUrl());
    try (StaticLeaser leaser = new StaticLeaser(true, self)) {
      leaser.acquire().orElseThrow().close();
    }
  }

  private static URI url(int port) {
    return URI.create("http://127.0.0.1:" + port);
  }

  private static int[] freePorts() throws IOException {
    try (ServerSocket first = new ServerSocket(0);
        ServerSocket second = new ServerSocket(0)) {
      return new int[] {first.getLocalPort(), second.getLocalPort()};
    }
  }

  private static LitefsConfig config(Path home, int port) throws IOException, ConfigException {
    Files.createDirectories(home.resolve("mount"));
    Path file = home.resolve("litefs.yml");
    Files.writeString(
        file,
        """
        fuse:
          dir: %s
        data:
          dir: %s
        http:
          addr: 127.0.0.1:%d
        lease:
          type: consul
          hostname: warmup
          advertise-url: %s
          candidate: true
          demote-delay: 1ms
          consul:
            url: http://127.0.0.1:8500
            key: warmup
        """
            .formatted(home.resolve("mount"), home.resolve("data"), port, url(port)));
    return ConfigLoader.load(file, true, Map.of());
  }

  /**
   * A SQLite database without tables: one page, which is the root of the empty schema.
   *
   * @param fileFormat one of {@link #FILE_FORMATS}
   */
  private static byte[] emptyDatabase(byte fileFormat) {
    ByteBuffer page = ByteBuffer.allocate(4096);
    page.put("SQLite format 3\0".getBytes(StandardCharsets.US_ASCII));
    page.putShort((short) page.capacity());
    page.put(fileFormat).put(fileFormat);
    // Reserved bytes, and three payload fractions that are fixed.
    page.put(new byte[] {0, 64, 32, 32});
    // Change counter, and the size in pages that is valid with it.
    page.putInt(1).putInt(1);
    // Schema format and UTF-8.
    page.putInt(44, 4).putInt(56, 1);
    page.putInt(92, 1).putInt(96, 3_045_000);
    // An empty leaf of a table, whose content begins at the page's end.
    page.put(100, (byte) 13).putShort(105, (short) page.capacity());
    return page.array();
  }

  private static void removeTree(Path dir) throws IOException {
    try (Stream<Path> files = Files.walk(dir)) {
      for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    }
  }
}

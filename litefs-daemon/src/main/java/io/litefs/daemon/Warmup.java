package io.litefs.daemon;

import io.litefs.config.ConfigException;
import io.litefs.config.ConfigLoader;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.CommandException;
import io.litefs.fuse.Keepers;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Goes the way of a start once, so that the JVM can write the classes it loads into an archive ({@code -XX:ArchiveClassesAtExit}).
 * The launcher runs it; it is no command. What cannot be done here (no FUSE, no free port) is left out of the archive, not an error.
 */
final class Warmup {

  private static final long LIMIT_MILLIS = 30_000;

  private Warmup() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    Thread watchdog =
        new Thread(
            () -> {
              try {
                Thread.sleep(LIMIT_MILLIS);
                Runtime.getRuntime().halt(1);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "watchdog");
    watchdog.setDaemon(true);
    watchdog.start();

    Path dir = Files.createTempDirectory("litefs-warmup");
    try {
      commandLines();
      node(dir);
    } catch (CommandException | ConfigException e) {
      System.err.println("litefs: warm-up is not complete: " + e.getMessage());
    } finally {
      removeTree(dir);
    }
    System.exit(0);
  }

  private static void commandLines() {
    PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream());
    for (String command : List.of("mount", "import", "export", "demo", "version")) {
      new Main(nowhere, nowhere, Keepers::start).run(command, "--help");
    }
    new Main(nowhere, nowhere, Keepers::start).run("version");
  }

  private static void node(Path dir) throws IOException, CommandException, ConfigException, InterruptedException {
    int port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
    Path mount = Files.createDirectory(dir.resolve("mount"));
    Path file = dir.resolve("litefs.yml");
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
          type: static
        """
            .formatted(mount, dir.resolve("data"), port));
    Keepers keepers = Keepers.start();
    LitefsConfig config = ConfigLoader.load(file, true, Map.of());
    Logs.configure(config.log());
    try (Node node = new Node(config, keepers, false)) {
      node.start();
      node.ready().join();
      for (String path : List.of("/info", "/metrics")) {
        URI uri = URI.create("http://127.0.0.1:" + port + path);
        try (InputStream answer = uri.toURL().openStream()) {
          answer.readAllBytes();
        }
      }
    }
  }

  private static void removeTree(Path dir) throws IOException {
    try (Stream<Path> files = Files.walk(dir)) {
      for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    }
  }
}

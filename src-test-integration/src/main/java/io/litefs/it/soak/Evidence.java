package io.litefs.it.soak;

import io.litefs.it.Commands;
import io.litefs.it.Node;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** All that could explain a failure. */
final class Evidence {

  private Evidence() {}

  /**
   * Copies what the writers noted, and of each node, under the name of its home: data, log,
   * configuration, what its threads do and what its mount shows.
   *
   * @param to made if it is not there
   * @param history what happened, a line each
   * @param writers the writers' directory
   */
  static void keep(Path to, String history, Path writers, List<Node> nodes) {
    try {
      Files.createDirectories(to);
      Files.writeString(to.resolve("history.txt"), history);
      Commands.run("cp", "-a", writers.toString(), to.resolve("writers").toString());
      for (Node node : nodes) {
        keep(Files.createDirectories(to.resolve(node.home().getFileName().toString())), node);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void keep(Path to, Node node) throws IOException {
    for (String part : List.of("data", "node.log", "litefs.yml")) {
      Commands.run("cp", "-a", node.home().resolve(part).toString(), to.toString());
    }
    if (node.isRunning()) {
      Commands.Result dump =
          Commands.run("timeout", "10", Node.javaHome() + "/bin/jstack", Long.toString(node.pid()));
      Files.writeString(to.resolve("threads.txt"), dump.output());
      Commands.Result mounted =
          Commands.run(
              "timeout",
              "10",
              "sh",
              "-c",
              "mkdir \"$2\" && cp \"$1\"/* \"$2\" && cat \"$1\"/*.db-pos",
              "sh",
              node.mount().toString(),
              to.resolve("mount").toString());
      Files.writeString(to.resolve("positions.txt"), mounted.output());
    }
  }
}

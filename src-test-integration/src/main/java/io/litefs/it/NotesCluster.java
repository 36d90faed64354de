package io.litefs.it;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * Nodes that each run the notes application ({@code notes.py}) behind their proxy. The first one is
 * the primary at first.
 */
public final class NotesCluster implements AutoCloseable {

  public static final String DATABASE = "notes.db";

  private final List<Node> nodes = new ArrayList<>();
  private final List<Integer> proxyPorts = new ArrayList<>();

  private NotesCluster() {}

  /** Starts nodes under a static lease; {@code change} may alter each one's configuration. */
  public static NotesCluster start(int size, UnaryOperator<NodeConfig> change) {
    return startEach(
        size,
        first ->
            change.apply(
                first.isEmpty() ? NodeConfig.primary() : NodeConfig.replicaOf(first.get().port())));
  }

  /**
   * Starts nodes one after the other.
   *
   * @param configOf the configuration of the next one, but for the proxy; of the first, which must
   *     become the primary, if it is given none
   */
  public static NotesCluster startEach(int size, Function<Optional<Node>, NodeConfig> configOf) {
    NotesCluster cluster = new NotesCluster();
    try {
      Path script = script();
      for (int i = 0; i < size; i++) {
        NodeConfig config = configOf.apply(cluster.nodes.stream().findFirst());
        Node node = Node.create("notes", config);
        cluster.nodes.add(node);
        int proxy = Ports.free();
        int app = Ports.free();
        cluster.proxyPorts.add(proxy);
        config
            .set("proxy", "addr", "\"127.0.0.1:" + proxy + '"')
            .set("proxy", "target", "\"127.0.0.1:" + app + '"')
            .set("proxy", "db", DATABASE)
            .exec("python3", script.toString(), "" + app, node.db(DATABASE).toString());
        node.configure(config).start();
        if (i == 0) {
          Await.until("the application has made its table", () -> node.pos(DATABASE).txid() > 0);
        }
      }
      for (Node node : cluster.nodes.subList(1, size)) {
        Await.until(
            "a replica knows the primary's proxy",
            () -> node.log().contains("writes go to the primary's proxy at"));
      }
      return cluster;
    } catch (Throwable e) {
      cluster.close();
      throw e;
    }
  }

  private static Path script() {
    Path script = Commands.workDirectory("notes-app").resolve("notes.py");
    try (InputStream in = NotesCluster.class.getResourceAsStream("notes.py")) {
      Files.copy(in, script);
      return script;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until one of the nodes that run is the primary. */
  public Node primary() {
    Node[] found = new Node[1];
    Await.until(
        "a primary",
        () -> {
          for (Node node : nodes) {
            if (node.isRunning() && isPrimary(node)) {
              found[0] = node;
            }
          }
          return found[0] != null;
        });
    return found[0];
  }

  private static boolean isPrimary(Node node) {
    try {
      return node.info().path("isPrimary").asBoolean();
    } catch (UncheckedIOException | AssertionError e) {
      return false; // being stopped or started
    }
  }

  public List<Node> nodes() {
    return List.copyOf(nodes);
  }

  public int size() {
    return nodes.size();
  }

  /** Where a node's proxy has {@code path}. */
  public URI proxy(int node, String path) {
    return URI.create("http://127.0.0.1:" + proxyPorts.get(node) + path);
  }

  /** Stops all nodes in order, and requires that none has logged a stack trace. */
  public void stop() {
    for (Node node : nodes) {
      int code = node.stop();
      if (code != 0 || node.log().contains("\n\tat ") || node.log().contains("Traceback")) {
        throw new AssertionError("exit code " + code + "; log:\n" + node.log());
      }
    }
  }

  @Override
  public void close() {
    nodes.forEach(Node::close);
  }
}

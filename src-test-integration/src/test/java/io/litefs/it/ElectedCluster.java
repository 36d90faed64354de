package io.litefs.it;

import io.litefs.lease.ConsulAgent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Nodes that elect their primary with a lock in a real Consul. */
public final class ElectedCluster implements AutoCloseable {

  /** Long enough for a few calls of Consul on a busy machine. */
  static final Duration TTL = Duration.ofSeconds(5);

  static final Duration LOCK_DELAY = Duration.ofMillis(500);

  /** What the project promises for a primary that vanishes. */
  static final Duration FAILOVER = TTL.plus(LOCK_DELAY).plusSeconds(2);

  private static final String KEY = "test/primary";

  private final ConsulAgent consul;
  private final List<Node> nodes = new ArrayList<>();

  ElectedCluster(ConsulAgent consul) {
    this.consul = consul;
    // The launcher makes a class data archive once: not by several nodes at the same time.
    Node.litefs(Duration.ofMinutes(5), "version").orThrow();
  }

  /** A node named {@code hostname} that competes for the lease under {@code key}. */
  static NodeConfig config(ConsulAgent consul, String key, String hostname) {
    return new NodeConfig()
        .set("lease", "type", "consul")
        .set("lease", "hostname", hostname)
        .set("lease", "reconnect-delay", "50ms")
        .set("lease", "demote-delay", "1s")
        .set(
            "lease",
            "consul",
            "{url: '%s', key: '%s', ttl: '%dms', lock-delay: '%dms'}"
                .formatted(consul.url(), key, TTL.toMillis(), LOCK_DELAY.toMillis()));
  }

  static ElectedCluster started(int size) {
    return started(size, config -> config);
  }

  public static ElectedCluster started(int size, UnaryOperator<NodeConfig> more) {
    ElectedCluster cluster = new ElectedCluster(ConsulAgent.started());
    try {
      for (int i = 0; i < size; i++) {
        cluster.add(Node.create("n" + i, more.apply(config(cluster.consul, KEY, "n" + i))));
      }
      cluster.nodes.forEach(Node::launch);
      cluster.awaitPrimary();
      cluster.awaitFollowers();
      return cluster;
    } catch (Throwable e) {
      cluster.close();
      throw e;
    }
  }

  Node add(Node node) {
    nodes.add(node);
    return node;
  }

  ConsulAgent consul() {
    return consul;
  }

  public Node node(int i) {
    return nodes.get(i);
  }

  public static boolean isPrimary(Node node) {
    return node.isRunning() && node.info().path("isPrimary").asBoolean();
  }

  /** Waits until one of the nodes that run is primary. */
  public Node awaitPrimary() {
    Node[] found = new Node[1];
    Await.until(
        Await.LONG,
        () -> "a primary; logs:\n" + logs(),
        () -> {
          for (Node node : nodes) {
            try {
              if (isPrimary(node)) {
                found[0] = node;
                return true;
              }
            } catch (RuntimeException | AssertionError e) {
              continue; // stopped, or not up yet
            }
          }
          return false;
        });
    return found[0];
  }

  public List<Node> others(Node node) {
    return nodes.stream().filter(n -> n != node && n.isRunning()).toList();
  }

  /** Waits until every node that runs is connected to the primary. */
  public void awaitFollowers() {
    Await.until(
        Await.LONG,
        () -> "all follow one; logs:\n" + logs(),
        () -> {
          Node primary = awaitPrimary();
          String name = "n" + nodes.indexOf(primary);
          return others(primary).stream()
              .allMatch(n -> n.info().path("primary").path("hostname").asText().equals(name));
        });
  }

  void awaitFollows(Node node, Node primary) {
    String name = "n" + nodes.indexOf(primary);
    Await.until(
        Await.LONG,
        () -> "n" + nodes.indexOf(node) + " follows " + name + "; logs:\n" + logs(),
        () -> node.info().path("primary").path("hostname").asText().equals(name));
  }

  void takeLeaseAway() {
    takeLeaseAway(awaitPrimary());
  }

  /** Ends the primary's session in Consul, and waits until it has noticed. */
  void takeLeaseAway(Node primary) {
    long before = lines(primary, "primary -> demoted");
    Matcher session =
        Pattern.compile("\"Session\": ?\"([^\"]+)\"")
            .matcher(consul.call("GET", "/v1/kv/" + KEY, ""));
    if (!session.find()) {
      throw new AssertionError("nobody has the lease");
    }
    consul.call("PUT", "/v1/session/destroy/" + session.group(1), "");
    Await.until("it notices", () -> lines(primary, "primary -> demoted") > before);
  }

  /** How many lines of the node's log have {@code words}. */
  static long lines(Node node, String words) {
    return node.log().lines().filter(line -> line.contains(words)).count();
  }

  /** Hands the lease to {@code node} and waits until the others follow it. */
  void promote(Node node) {
    var answer = node.http().call("POST", "/promote");
    if (answer.statusCode() != 200) {
      throw new AssertionError(answer.statusCode() + " " + answer.body() + "; logs:\n" + logs());
    }
    for (Node other : others(node)) {
      awaitFollows(other, node);
    }
  }

  /** Waits until all nodes that run have the primary's position, and requires the same bytes. */
  Position assertIdentical(String db) {
    Node primary = awaitPrimary();
    Position pos = primary.pos(db);
    DatabaseImage expected = primary.export(db);
    for (Node node : others(primary)) {
      // Exactly: a node whose history left the primary's may have a greater TXID for a moment.
      Await.until(
          Await.LONG,
          () -> "n" + nodes.indexOf(node) + " is at " + pos + "; logs:\n" + logs(),
          () -> node.pos(db).equals(pos));
      DatabaseImage image = node.export(db);
      expected.assertSameBytes(image);
      image.delete();
    }
    expected.delete();
    return pos;
  }

  /**
   * Also waits for the bytes: a node that rolled a transaction back has the primary's position at
   * once, and the primary's free pages with the snapshot that it asks for.
   */
  void awaitIdentical(String db) {
    Await.until(
        Await.LONG,
        () -> db + " is the same on all nodes; logs:\n" + logs(),
        () -> {
          try {
            assertIdentical(db);
            return true;
          } catch (AssertionError e) {
            return false;
          }
        });
  }

  public String logs() {
    StringBuilder all = new StringBuilder();
    for (int i = 0; i < nodes.size(); i++) {
      all.append("---- n").append(i).append('\n').append(nodes.get(i).log()).append('\n');
    }
    return all.toString();
  }

  @Override
  public void close() {
    nodes.forEach(Node::close);
    consul.close();
  }
}

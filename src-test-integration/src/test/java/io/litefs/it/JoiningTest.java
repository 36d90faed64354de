package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.lease.ConsulAgent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a user meets who sets up, or adds to, a cluster in Consul: what works, and what is said. */
@Tag("alone")
class JoiningTest {

  private static final String DB = "app.db";
  private static ConsulAgent consul;
  private static int keys;

  @TempDir private Path dir;

  private final List<Node> nodes = new ArrayList<>();
  private String key;

  @BeforeAll
  static void startConsul() {
    Node.litefs(Duration.ofMinutes(5), "version").orThrow();
    consul = ConsulAgent.started();
  }

  @AfterAll
  static void stopConsul() {
    consul.close();
  }

  @BeforeEach
  void useAnotherKey() {
    key = "joining/" + keys++;
  }

  @AfterEach
  void closeNodes() {
    nodes.forEach(Node::close);
  }

  private Node node(String hostname) {
    return node(ElectedCluster.config(consul, key, hostname));
  }

  private Node node(NodeConfig config) {
    Node node = Node.create("joining", config);
    nodes.add(node);
    return node;
  }

  private static void awaitLine(Node node, String... words) {
    Await.until(
        Await.LONG,
        () -> "a line with " + List.of(words) + " in:\n" + node.log(),
        () ->
            node.log().lines().anyMatch(line -> List.of(words).stream().allMatch(line::contains)));
  }

  private static void awaitPrimary(Node node) {
    Await.until(
        Await.LONG,
        () -> "it is primary; its log:\n" + node.log(),
        () -> ElectedCluster.isPrimary(node));
  }

  private static void insert(Node node) {
    try (Session session = Driver.PYTHON.open(node.db(DB))) {
      session.run("CREATE TABLE IF NOT EXISTS t(a)");
      session.run("INSERT INTO t VALUES (1)");
    }
  }

  private static String clusterId(Node node) throws IOException {
    return Files.readString(node.data().resolve("clusterid")).strip();
  }

  @Test
  void aNodeWithoutDataJoinsAndDoesNotLead() throws Exception {
    Node first = node("first").start();
    awaitPrimary(first);
    insert(first);
    Position pos = first.pos(DB);
    Node second = node("second").start();
    second.awaitPos(DB, pos);
    assertThat(clusterId(second)).isEqualTo(clusterId(first));
    second.stop();
    first.stop();
    Node third = node("third");
    third.launch();
    awaitLine(third, "not taking the lease: this node is empty", clusterId(first));
    assertThat(ElectedCluster.isPrimary(third)).isFalse();
    first.start();
    awaitPrimary(first);
    third.awaitPos(DB, pos);
  }

  @Test
  void ofNodesThatStartTogetherOneLeadsAndTheOtherFollows() throws Exception {
    Node first = node("first");
    Node second = node("second");
    for (int start = 0; start < 3; start++) { // at first without data
      first.launch();
      second.launch();
      Await.until(
          Await.LONG,
          () -> "one leads; logs:\n" + first.log() + second.log(),
          () -> ElectedCluster.isPrimary(first) || ElectedCluster.isPrimary(second));
      Node primary = ElectedCluster.isPrimary(first) ? first : second;
      Node replica = primary == first ? second : first;
      insert(primary);
      replica.awaitPos(DB, primary.pos(DB));
      assertThat(ElectedCluster.lines(first, "-> primary"))
          .as("terms since the start; logs:\n%s%s", first.log(), second.log())
          .isEqualTo(primary == first ? 1 : 0);
      assertThat(ElectedCluster.lines(second, "-> primary")).isEqualTo(primary == second ? 1 : 0);
      assertThat(clusterId(replica)).isEqualTo(clusterId(primary));
      replica.stop();
      primary.stop();
    }
  }

  @Test
  void transactionsThatAPowerCutTookComeBackFromANodeThatCannotLead() throws Exception {
    Node first = node("first").start();
    awaitPrimary(first);
    insert(first);
    Node second =
        node(ElectedCluster.config(consul, key, "second").set("lease", "candidate", "false"));
    second.start();
    second.awaitPos(DB, first.pos(DB));
    first.stop();
    Path durable = dir.resolve("durable");
    Commands.run("cp", "-a", first.data().toString(), durable.toString()).orThrow();

    first.start();
    awaitPrimary(first);
    insert(first);
    insert(first);
    Position pos = first.pos(DB);
    second.awaitPos(DB, pos);
    first.kill();
    Commands.run("rm", "-rf", first.data().toString()).orThrow();
    Commands.run("mv", durable.toString(), first.data().toString()).orThrow();
    first.start();
    awaitPrimary(first);
    assertThat(first.pos(DB)).isEqualTo(pos);
    awaitLine(first, "fetched what", "lacked");
    insert(first);
    second.awaitPos(DB, first.pos(DB));
    first.export(DB).assertSameBytes(second.export(DB));
    assertThat(second.data().resolve("diverged").resolve(DB)).doesNotExist();
  }

  @Test
  void aNodeWithDataOfAnotherClusterIsToldBothIds() throws Exception {
    Node first = node("first").start();
    awaitPrimary(first);
    insert(first);
    Node other = node(ElectedCluster.config(consul, key + "-other", "other")).start();
    awaitPrimary(other);
    insert(other);
    other.stop();
    other.configure(ElectedCluster.config(consul, key, "other")).launch();
    awaitLine(other, clusterId(first), clusterId(other), "lease.consul.key");
    first.stop();
    awaitLine(other, "not taking the lease", clusterId(first), clusterId(other));
    assertThat(ElectedCluster.isPrimary(other)).isFalse();
  }

  /** Data that was written before there were cluster ids, or whose id got lost. */
  @Test
  void dataWithoutAClusterIdIsAdopted() throws Exception {
    Node first = node("first").start();
    awaitPrimary(first);
    insert(first);
    String id = clusterId(first);
    first.stop();
    Files.delete(first.data().resolve("clusterid"));
    first.launch();
    awaitLine(first, "not taking the lease", id, "litefs cluster adopt " + id);
    first.stop();
    Commands.Result wrong =
        Node.litefs(
            Duration.ofMinutes(1),
            "cluster",
            "adopt",
            "-data",
            first.data().toString(),
            "nonsense");
    assertThat(wrong.exitCode()).isNotZero();
    Node.litefs(Duration.ofMinutes(1), "cluster", "adopt", "-data-dir", first.data().toString(), id)
        .orThrow();
    first.start();
    awaitPrimary(first);
    insert(first);
  }

  @Test
  void consulThatIsNotThereAtTheStartIsWaitedFor() {
    try (ConsulAgent late = ConsulAgent.started()) {
      late.stop();
      Node node = node(ElectedCluster.config(late, key, "early"));
      node.launch();
      awaitLine(node, "Consul at " + late.url() + " cannot be reached", "lease.consul.url");
      late.start();
      awaitPrimary(node);
    }
  }

  @Test
  void anAdvertiseUrlThatLeadsNowhereIsNamedOnTheReplica() {
    int nowhere = Ports.free();
    Node first =
        node(ElectedCluster.config(consul, key, "first")
                .set("lease", "advertise-url", "http://127.0.0.1:" + nowhere))
            .start();
    awaitPrimary(first);
    Node second = node("second");
    second.launch();
    awaitLine(
        second,
        "no replication from http://127.0.0.1:" + nowhere,
        "cannot connect",
        "lease.advertise-url");
  }

  @Test
  void aNodeThatIsToLeadDoesSoOnceItHasCaughtUp() {
    Node first = node("first").start();
    awaitPrimary(first);
    insert(first);
    Node second =
        node(ElectedCluster.config(consul, key, "second").set("lease", "promote", "true")).start();
    awaitPrimary(second);
    assertThat(second.pos(DB)).isEqualTo(first.pos(DB));
    insert(second);
    first.awaitPos(DB, second.pos(DB));
  }
}

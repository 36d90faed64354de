package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.lease.ConsulAgent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Three hosts and Consul on a fourth, with the network cut between some of them. */
@Tag("alone")
class NetworkCutTest {

  private static final int NODES = 3;
  private static final int FLAPS = 40;

  /** From 20 ms to 2.5 s. */
  private static final int LONGEST_CUT_DOUBLINGS = 8;

  private static Namespaces hosts;
  private static int consulHost;
  private static ElectedCluster cluster;
  private static int count;

  private String db;

  @BeforeAll
  static void start() {
    hosts = new Namespaces();
    try {
      consulHost = hosts.add();
      cluster =
          new ElectedCluster(
              ConsulAgent.started(hosts.address(consulHost), hosts.around(consulHost), ""));
      for (int i = 0; i < NODES; i++) {
        int host = hosts.add();
        NodeConfig config =
            ElectedCluster.config(cluster.consul(), "cut/primary", "n" + i)
                .at(hosts.address(host), hosts.around(host));
        cluster.add(Node.create("n" + i, config)).launch();
      }
      cluster.awaitPrimary();
      cluster.awaitFollowers();
    } catch (Throwable e) {
      stop();
      throw e;
    }
  }

  @AfterAll
  static void stop() {
    if (cluster != null) {
      cluster.close();
    }
    hosts.close();
  }

  @BeforeEach
  void createDatabase() {
    db = "cut-" + count++ + ".db";
    Node primary = cluster.awaitPrimary();
    try (Session session = Driver.PYTHON.open(primary.db(db))) {
      session.runAll("PRAGMA journal_mode=WAL", "CREATE TABLE log (x)");
      cluster.others(primary).forEach(node -> node.awaitPos(db, primary.pos(db)));
      // A replica keeps writers out from the first transaction on that it applies through the WAL.
      session.run("INSERT INTO log VALUES (0)");
    }
    cluster.others(primary).forEach(node -> node.awaitPos(db, primary.pos(db)));
  }

  private static int hostOf(Node node) {
    for (int i = 0; i < NODES; i++) {
      if (cluster.node(i) == node) {
        return i + 1;
      }
    }
    throw new AssertionError(node);
  }

  private TreeSet<Integer> missing(RoamingWriter writer) {
    TreeSet<Integer> values = new TreeSet<>();
    writer.acks().forEach(ack -> values.add(ack.value()));
    try (Session session = Driver.PYTHON.open(cluster.awaitPrimary().db(db))) {
      session.run("SELECT DISTINCT x FROM log").forEach(x -> values.remove(Integer.valueOf(x)));
    }
    return values;
  }

  @Test
  void aPrimaryCutFromConsulStopsBeforeAnotherLeads() {
    Node primary = cluster.awaitPrimary();
    try (RoamingWriter onOld = new RoamingWriter(List.of(primary), db);
        RoamingWriter onOthers = new RoamingWriter(cluster.others(primary), db)) {
      onOld.awaitMore(20);
      hosts.cut(hostOf(primary), consulHost);
      long lastOld;
      long firstNew;
      try {
        onOthers.awaitMore(5);
        firstNew = onOthers.acks().get(0).nanos();
        List<RoamingWriter.Ack> acks = onOld.acks();
        lastOld = acks.get(acks.size() - 1).nanos();
        assertThat(primary.log()).contains("primary -> demoted", "not renewed for");
      } finally {
        hosts.heal(hostOf(primary), consulHost);
      }
      assertThat(lastOld).as("one primary at a time").isLessThan(firstNew);
      onOld.stop();
      onOthers.stop();
      cluster.awaitFollowers();
      // The replicas were connected all the time, so nothing was lost.
      assertThat(missing(onOthers)).isEmpty();
      assertThat(onOthers.failures()).isEmpty();
    }
    cluster.assertIdentical(db);
  }

  @Test
  void aPrimaryCutFromItsReplicasStaysPrimaryAndTheyCatchUp() {
    Node primary = cluster.awaitPrimary();
    List<Node> others = cluster.others(primary);
    try (RoamingWriter writer = new RoamingWriter(List.of(primary), db)) {
      writer.awaitMore(20);
      others.forEach(node -> hosts.cut(hostOf(primary), hostOf(node)));
      try {
        for (Node node : others) {
          Await.until("the stream is given up", () -> node.info().path("primary").isMissingNode());
        }
        writer.awaitMore(50);
        assertThat(others).noneMatch(ElectedCluster::isPrimary);
      } finally {
        others.forEach(node -> hosts.heal(hostOf(primary), hostOf(node)));
      }
      writer.stop();
      assertThat(writer.failures()).isEmpty();
      cluster.awaitFollowers();
      assertThat(cluster.awaitPrimary()).isSameAs(primary);
      assertThat(missing(writer)).isEmpty();
    }
    cluster.assertIdentical(db);
  }

  /**
   * Links of nodes to each other and to Consul come and go, for less time than it takes to notice
   * and for more, while an application on each node writes whenever it is let.
   */
  @Test
  void linksThatComeAndGoLoseNothingSilently() {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    List<Node> nodes = List.of(cluster.node(0), cluster.node(1), cluster.node(2));
    Map<Node, Long> elections = new HashMap<>();
    nodes.forEach(node -> elections.put(node, ElectedCluster.lines(node, "-> primary")));
    Node initial = cluster.awaitPrimary();
    List<RoamingWriter> writers = new ArrayList<>();
    try {
      for (int i = 0; i < NODES; i++) {
        writers.add(new RoamingWriter(List.of(nodes.get(i)), db, 1 + i * 1_000_000));
      }
      for (int flap = 0; flap < FLAPS; flap++) {
        int one = random.nextInt(NODES + 1);
        int other = (one + 1 + random.nextInt(NODES)) % (NODES + 1);
        hosts.cut(one, other);
        // The fault's length, not a wait for something.
        LockSupport.parkNanos(
            TimeUnit.MILLISECONDS.toNanos(20L << random.nextInt(LONGEST_CUT_DOUBLINGS)));
        hosts.heal(one, other);
      }
      cluster.awaitFollowers();
      writers.get(nodes.indexOf(cluster.awaitPrimary())).awaitMore(20);
      writers.forEach(RoamingWriter::stop);
      cluster.awaitFollowers();
      cluster.awaitIdentical(db);
      for (int i = 0; i < NODES; i++) {
        String context = "node %d, seed %d; logs:\n%s".formatted(i, seed, cluster.logs());
        Node node = nodes.get(i);
        TreeSet<Integer> missing = missing(writers.get(i));
        if (!missing.isEmpty()) {
          assertThat(node.log()).as("%s are gone: %s", missing, context).contains("is kept in");
        }
        long elected = ElectedCluster.lines(node, "-> primary") - elections.get(node);
        assertThat(terms(writers, i))
            .as("times at which writes were accepted; %s", context)
            .isLessThanOrEqualTo(elected + (node == initial ? 1 : 0));
      }
    } finally {
      writers.forEach(RoamingWriter::close);
    }
  }

  /** In how many separate spans of time writer {@code i} was served: as others were between. */
  private static long terms(List<RoamingWriter> writers, int i) {
    TreeMap<Long, Integer> history = new TreeMap<>();
    for (int w = 0; w < writers.size(); w++) {
      int writer = w;
      writers.get(w).acks().forEach(ack -> history.put(ack.nanos(), writer));
    }
    long terms = 0;
    int before = -1;
    for (int writer : history.values()) {
      if (writer == i && before != i) {
        terms++;
      }
      before = writer;
    }
    return terms;
  }

  @Test
  void aPrimaryCutFromEverythingIsReplacedAndArchivesWhatItAloneHad() {
    Node primary = cluster.awaitPrimary();
    List<Node> others = cluster.others(primary);
    try (RoamingWriter onOld = new RoamingWriter(List.of(primary), db);
        RoamingWriter onOthers = new RoamingWriter(others, db)) {
      onOld.awaitMore(20);
      others.forEach(node -> hosts.cut(hostOf(primary), hostOf(node)));
      hosts.cut(hostOf(primary), consulHost);
      long lastOld;
      long firstNew;
      try {
        onOthers.awaitMore(20);
        firstNew = onOthers.acks().get(0).nanos();
        List<RoamingWriter.Ack> acks = onOld.acks();
        lastOld = acks.get(acks.size() - 1).nanos();
      } finally {
        hosts.heal(hostOf(primary), consulHost);
        others.forEach(node -> hosts.heal(hostOf(primary), hostOf(node)));
      }
      assertThat(lastOld).as("one primary at a time").isLessThan(firstNew);
      onOld.stop();
      onOthers.stop();
      cluster.awaitFollowers();
      cluster.assertIdentical(db);
      assertThat(missing(onOthers)).isEmpty();
      if (!missing(onOld).isEmpty()) {
        assertThat(primary.log()).contains(db + " has diverged", "is kept in");
      }
    }
  }
}

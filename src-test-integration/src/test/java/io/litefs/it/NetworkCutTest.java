package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.lease.ConsulAgent;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Three hosts and Consul on a fourth, with the network cut between some of them. */
@Tag("alone")
class NetworkCutTest {

  private static final int NODES = 3;

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

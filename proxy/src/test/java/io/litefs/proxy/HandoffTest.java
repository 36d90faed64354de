package io.litefs.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Three nodes that hand the primary's role round while clients write through any of them and read
 * through another. The nodes learn of it one after the other, so for moments none is primary, or
 * two nodes each think that it is the other.
 */
class HandoffTest {

  private static final int NODES = 3;
  private static final int CLIENTS = 4;
  private static final int ROUNDS = 10_000;
  private static final int HANDOFFS = 40;
  private static final String DB = "app.db";

  private final List<Node> nodes = new ArrayList<>();

  /** What was committed, in order: the replication's log. TXID n is the n-th. */
  private final AtomicReferenceArray<String> log = new AtomicReferenceArray<>(3 * ROUNDS);

  /** Held by whoever commits or hands over. */
  private final Object lock = new Object();

  private int committed;
  private int primary;
  private final Set<String> refused = ConcurrentHashMap.newKeySet();
  private final Set<String> acknowledged = ConcurrentHashMap.newKeySet();
  private final AtomicInteger notPrimary = new AtomicInteger();

  /** A node: application, proxy, and what has been replicated to it so far. */
  private final class Node {
    final int number;
    final TestApp app;
    final TestProxy proxy;
    final Set<String> notes = ConcurrentHashMap.newKeySet();
    final LinkedBlockingQueue<Integer> arriving = new LinkedBlockingQueue<>();
    int txid;

    Node(int number) throws IOException {
      this.number = number;
      app = TestApp.with(this::serve);
      proxy = new TestProxy(app);
      proxy.start();
      Thread replication = new Thread(this::replicate, "replication-" + number);
      replication.setDaemon(true);
      replication.start();
    }

    private boolean serve(HttpText request, TestApp.Connection connection) throws IOException {
      String note = request.target();
      if (request.method().equals("POST")) {
        boolean written = commit(this, note);
        connection.send(
            written ? TestApp.ok("") : "HTTP/1.1 409 Read Only\r\nContent-Length: 0\r\n\r\n");
      } else {
        connection.send(
            notes.contains(note)
                ? TestApp.ok("")
                : "HTTP/1.1 404 Missing\r\nContent-Length: 0\r\n\r\n");
      }
      return true;
    }

    private void replicate() {
      try {
        while (true) {
          apply(arriving.take());
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    /** Takes over a prefix of the log. The note first, then the position. */
    synchronized void apply(int upTo) {
      while (txid < upTo) {
        notes.add(log.get(txid));
        txid++;
        proxy.positions.advance(DB, txid);
      }
    }
  }

  @BeforeEach
  void start() throws IOException {
    for (int i = 0; i < NODES; i++) {
      nodes.add(new Node(i));
    }
    announce(0, new Random(0));
  }

  @AfterEach
  void stop() throws IOException {
    for (Node node : nodes) {
      node.proxy.close();
      node.app.close();
    }
  }

  private boolean commit(Node node, String note) {
    synchronized (lock) {
      if (primary != node.number) {
        notPrimary.incrementAndGet();
        return false;
      }
      log.set(committed++, note);
      node.apply(committed);
      for (Node other : nodes) {
        other.arriving.add(committed);
      }
      return true;
    }
  }

  /** Tells the nodes in any order who is primary; some that there is none before. */
  private void announce(int newPrimary, Random random) {
    List<Node> order = new ArrayList<>(nodes);
    java.util.Collections.shuffle(order, random);
    for (Node node : order) {
      if (random.nextBoolean()) {
        node.proxy.primary.none();
      }
    }
    synchronized (lock) {
      nodes.get(newPrimary).apply(committed);
      primary = newPrimary;
    }
    for (Node node : order) {
      if (node.number == newPrimary) {
        node.proxy.primary.self();
      } else {
        node.proxy.primary.other("node-" + newPrimary, nodes.get(newPrimary).proxy.port());
      }
    }
  }

  @Test
  void noWriteIsMissedOrDoneTwiceWhileTheRoleIsHandedRound() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(CLIENTS);
    List<Future<?>> clients = new ArrayList<>();
    CountDownLatch[] moments = new CountDownLatch[HANDOFFS];
    for (int i = 0; i < HANDOFFS; i++) {
      moments[i] = new CountDownLatch(ROUNDS * (i + 1) / (HANDOFFS + 1));
    }
    for (int i = 0; i < CLIENTS; i++) {
      int number = i;
      clients.add(
          threads.submit(
              () -> {
                client(number, moments);
                return null;
              }));
    }
    Random random = new Random(1);
    for (CountDownLatch moment : moments) {
      assertThat(moment.await(120, TimeUnit.SECONDS)).isTrue();
      announce((primary + 1 + random.nextInt(NODES - 1)) % NODES, random);
    }
    for (Future<?> client : clients) {
      client.get(120, TimeUnit.SECONDS);
    }
    threads.shutdown();
    System.out.printf(
        "%d notes, %d refused by a former primary's application%n",
        acknowledged.size(), notPrimary.get());
    List<String> written = new ArrayList<>();
    for (int i = 0; i < committed; i++) {
      written.add(log.get(i));
    }
    assertThat(acknowledged).hasSize(ROUNDS);
    assertThat(written).hasSize(ROUNDS);
    assertThat(new HashSet<>(written)).isEqualTo(acknowledged);
    assertThat(written).doesNotContainAnyElementsOf(refused);
  }

  private void client(int number, CountDownLatch[] moments) throws IOException {
    Random random = new Random(number);
    RawClient[] connections = new RawClient[NODES];
    for (int i = 0; i < NODES; i++) {
      connections[i] = nodes.get(i).proxy.client();
    }
    for (int i = 0; i < ROUNDS / CLIENTS; i++) {
      int writeAt = random.nextInt(NODES);
      int readAt = (writeAt + 1 + random.nextInt(NODES - 1)) % NODES;
      HttpText written = null;
      String note = null;
      for (int attempt = 0; written == null || written.status() != 200; attempt++) {
        if (written != null) {
          // Read only, as SQLite would say: the application had been demoted meanwhile.
          assertThat(written.status()).isEqualTo(409);
          refused.add(note);
        }
        note = "/note/" + number + "/" + i + "/" + attempt;
        written = connections[writeAt].post(note, "text");
      }
      acknowledged.add(note);
      String cookie = written.field("Set-Cookie").split(";")[0];
      HttpText read = connections[readAt].get(note, "Cookie: " + cookie);
      assertThat(read.status()).as("%s read at node %d, %s", note, readAt, cookie).isEqualTo(200);
      for (CountDownLatch moment : moments) {
        moment.countDown();
      }
    }
    for (RawClient connection : connections) {
      connection.close();
    }
  }
}

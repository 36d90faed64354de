package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.lease.ConsulAgent;
import java.io.IOException;
import java.net.ConnectException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Clients write through the proxy of any node and read back through that of another, while the
 * primary hands over, and while it is restarted: no acknowledged note is ever missing, none is
 * there twice, and every answer is accounted for.
 */
@Tag("alone")
class ReadYourWritesTest {

  private static final int CLIENTS = 4;
  private static final int ROUNDS = Integer.getInteger("litefs.it.rounds", 10_000);
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private final Map<String, AtomicInteger> outcomes = new ConcurrentHashMap<>();
  private final Set<String> acknowledged = ConcurrentHashMap.newKeySet();

  /** Written or not: the client cannot know. */
  private final Set<String> unknown = ConcurrentHashMap.newKeySet();

  private final Set<String> refused = ConcurrentHashMap.newKeySet();
  private final AtomicInteger done = new AtomicInteger();
  private int rounds = ROUNDS;

  private void count(String outcome) {
    outcomes.computeIfAbsent(outcome, o -> new AtomicInteger()).incrementAndGet();
  }

  @Test
  void noWriteIsMissedWhileThePrimaryRestarts() throws Exception {
    rounds = ROUNDS / 4;
    try (NotesCluster cluster =
        NotesCluster.start(
            3,
            config ->
                config
                    .set("proxy", "primary-redirect-timeout", "30s")
                    .set("lease", "reconnect-delay", "50ms"))) {
      interrupt(
          cluster,
          () -> {
            Node primary = cluster.primary();
            assertThat(primary.stop()).as(primary.log()).isZero();
            primary.start();
          });
      // A restart cuts off a few, and again while the application ends; more would be the proxy's
      // doing.
      assertThat(unknown).hasSizeLessThanOrEqualTo(20 * CLIENTS);
    }
  }

  @Test
  void noWriteFailsWhileThePrimaryHandsOver() throws Exception {
    AtomicInteger number = new AtomicInteger();
    try (ConsulAgent consul = ConsulAgent.started();
        NotesCluster cluster =
            NotesCluster.startEach(
                3,
                first ->
                    ElectedCluster.config(consul, "notes/primary", "n" + number.getAndIncrement())
                        .set("proxy", "primary-redirect-timeout", "30s"))) {
      interrupt(
          cluster,
          () -> {
            Node primary = cluster.primary();
            Node next = cluster.nodes().stream().filter(n -> n != primary).findAny().orElseThrow();
            assertThat(next.http().call("POST", "/promote").statusCode()).isEqualTo(200);
          });
      assertThat(outcomes.keySet()).containsOnly("write 201", "read 200");
    }
  }

  private interface Interruption {
    void happen() throws Exception;
  }

  private void interrupt(NotesCluster cluster, Interruption interruption) throws Exception {
    CountDownLatch third = new CountDownLatch(rounds / 3);
    CountDownLatch twoThirds = new CountDownLatch(2 * rounds / 3);
    ExecutorService threads = Executors.newFixedThreadPool(CLIENTS);
    try {
      List<Future<?>> clients = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        Client client = new Client(cluster, i, third, twoThirds);
        clients.add(threads.submit(client::run));
      }
      for (CountDownLatch moment : List.of(third, twoThirds)) {
        assertThat(moment.await(10, TimeUnit.MINUTES)).isTrue();
        int before = done.get();
        interruption.happen();
        System.out.printf("interrupted at round %d to %d%n", before, done.get());
      }
      for (Future<?> client : clients) {
        client.get(10, TimeUnit.MINUTES);
      }
      account(cluster);
      cluster.stop();
    } finally {
      threads.shutdownNow();
    }
  }

  /** Compares what the clients were told with what is there. */
  private void account(NotesCluster cluster) {
    Map<String, Integer> found = new HashMap<>();
    Commands.run(
            "sqlite3",
            cluster.primary().db(NotesCluster.DATABASE).toString(),
            "SELECT text FROM notes")
        .orThrow()
        .output()
        .lines()
        .forEach(text -> found.merge(text, 1, Integer::sum));
    System.out.println("outcomes: " + new TreeMap<>(outcomes));
    assertThat(found.values()).as("a note is there twice").containsOnly(1);
    assertThat(found.keySet()).containsAll(acknowledged);
    assertThat(found.keySet()).noneMatch(refused::contains);
    Set<String> unaccounted = new java.util.HashSet<>(found.keySet());
    unaccounted.removeAll(acknowledged);
    unaccounted.removeAll(unknown);
    assertThat(unaccounted).isEmpty();
    assertThat(acknowledged).hasSize(rounds);
  }

  /** One client with its cookie. */
  private final class Client {

    private final NotesCluster cluster;
    private final int number;
    private final CountDownLatch third;
    private final CountDownLatch twoThirds;
    private final Random random;
    private final HttpClient http =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private String cookie = "";

    Client(NotesCluster cluster, int number, CountDownLatch third, CountDownLatch twoThirds) {
      this.cluster = cluster;
      this.number = number;
      this.third = third;
      this.twoThirds = twoThirds;
      this.random = new Random(number);
    }

    Void run() throws InterruptedException {
      for (int i = 0; i < rounds / CLIENTS; i++) {
        int writeAt = random.nextInt(cluster.size());
        // Another node than the one that was written through.
        int readAt = (writeAt + 1 + random.nextInt(cluster.size() - 1)) % cluster.size();
        String id = null;
        String text = null;
        for (int attempt = 0; id == null; attempt++) {
          text = "note " + number + "/" + i + "/" + attempt;
          id = write((writeAt + attempt) % cluster.size(), text);
        }
        read(readAt, id, text);
        done.incrementAndGet();
        third.countDown();
        twoThirds.countDown();
      }
      return null;
    }

    /** Number of the note; null if it must be written anew, which is another note. */
    private String write(int node, String text) throws InterruptedException {
      HttpRequest request =
          HttpRequest.newBuilder(cluster.proxy(node, "/notes"))
              .timeout(PATIENCE)
              .POST(HttpRequest.BodyPublishers.ofString(text))
              .build();
      try {
        HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
        count("write " + answer.statusCode());
        if (answer.statusCode() == 201) {
          cookie =
              answer
                  .headers()
                  .firstValue("Set-Cookie")
                  .orElseThrow(() -> new AssertionError("no cookie"));
          cookie = cookie.substring(0, cookie.indexOf(';'));
          acknowledged.add(text);
          return answer.body().strip();
        }
        // 503: held, and never sent on. 502: sent, and no answer came.
        (answer.statusCode() == 503 ? refused : unknown).add(text);
      } catch (ConnectException e) {
        count("write: connection refused");
        refused.add(text);
      } catch (IOException e) {
        count("write: connection broken");
        unknown.add(text);
      }
      return null;
    }

    /** Reads until there is an answer; the first must be the note. */
    private void read(int firstNode, String id, String text) throws InterruptedException {
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      int node = firstNode;
      while (true) {
        HttpRequest request =
            HttpRequest.newBuilder(cluster.proxy(node, "/notes/" + id))
                .timeout(PATIENCE)
                .header("Cookie", cookie)
                .build();
        try {
          HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
          count("read " + answer.statusCode());
          if (answer.statusCode() == 200) {
            assertThat(answer.body().strip()).isEqualTo(text);
            return;
          }
          // 504: not here yet. 502, 503: the node is being stopped. Never "no such note".
          assertThat(answer.statusCode())
              .as("node %d, note %s, %s: %s", node, id, cookie, answer.body())
              .isIn(502, 503, 504);
        } catch (IOException e) {
          count("read: no connection");
        }
        assertThat(System.nanoTime()).isLessThan(deadline);
        node = (node + 1) % cluster.size();
      }
    }
  }
}

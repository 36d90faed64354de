package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A node serves very many small databases: none costs it a thread, and little memory. The limit
 * here is below the launcher's, so that fewer databases show it.
 */
@Tag("alone")
class ManyDatabasesTest {

  private static final int DATABASES = Integer.getInteger("litefs.it.databases", 300);
  private static final int DIRECT_BYTES_EACH = 50 << 10;
  private static final int DIRECT_BYTES = (8 << 20) + DATABASES * DIRECT_BYTES_EACH;

  /** Every other one with a WAL; arguments: directory, count, rows that each is to have more. */
  private static final String WRITE =
      """
      import sqlite3, sys
      for i in range(int(sys.argv[2])):
          c = sqlite3.connect(f'{sys.argv[1]}/db{i}', timeout=30)
          c.execute('PRAGMA journal_mode=' + ('WAL' if i % 2 else 'DELETE'))
          c.execute('CREATE TABLE IF NOT EXISTS t(a, b)')
          for k in range(int(sys.argv[3])):
              c.execute('INSERT INTO t VALUES (?, ?)', (k, 'x' * 500))
              c.commit()
          c.close()
      """;

  @Test
  void allAreReplicatedAndHandedOverWithFewThreadsAndLittleMemory() {
    try (ElectedCluster cluster =
        ElectedCluster.started(
            2,
            config -> config.env("LITEFS_JAVA_OPTS", "-XX:MaxDirectMemorySize=" + DIRECT_BYTES))) {
      Node first = cluster.awaitPrimary();
      Node second = cluster.others(first).get(0);
      int few = 100 + Math.max(threads(first), threads(second));

      write(first, 2);
      awaitAll(cluster, first, second);
      assertThat(threads(second)).isLessThan(few);
      assertThat(threadsDuring(() -> cluster.promote(second), first)).isLessThan(few);
      write(second, 1);
      awaitAll(cluster, second, first);
      assertThat(threadsDuring(() -> cluster.promote(first), second)).isLessThan(few);
      write(first, 1);
      awaitAll(cluster, first, second);

      for (Node node : List.of(first, second)) {
        System.out.printf(
            "%d databases: %d threads, %d descriptors, %d MiB resident%n",
            DATABASES, threads(node), entries(node, "fd"), node.residentBytes() >> 20);
        assertThat(node.log()).doesNotContain("OutOfMemoryError", "ERROR");
      }
      for (int i = 0; i < DATABASES; i += 50) {
        cluster.assertIdentical("db" + i);
        cluster.assertIdentical("db" + (i + 1));
      }
    }
  }

  private static void write(Node node, int rows) {
    Commands.run(
            Duration.ofMinutes(5),
            Map.of(),
            List.of(
                "python3",
                "-c",
                WRITE,
                node.mount().toString(),
                Integer.toString(DATABASES),
                Integer.toString(rows)))
        .orThrow();
  }

  private static void awaitAll(ElectedCluster cluster, Node from, Node to) {
    for (int i = 0; i < DATABASES; i++) {
      String db = "db" + i;
      Position pos = from.pos(db);
      Await.until(
          Await.LONG,
          () -> db + " is at " + pos + "; logs:\n" + cluster.logs(),
          () -> Files.exists(to.db(db)) && to.pos(db).equals(pos));
    }
  }

  /** The most threads that the node has while something is done. */
  private static int threadsDuring(Runnable task, Node node) {
    CompletableFuture<Void> done = CompletableFuture.runAsync(task);
    int most = 0;
    while (!done.isDone()) {
      most = Math.max(most, threads(node));
      LockSupport.parkNanos(1_000_000);
    }
    done.join();
    return most;
  }

  private static int threads(Node node) {
    return entries(node, "task");
  }

  private static int entries(Node node, String kind) {
    try (var all = Files.list(Path.of("/proc", Long.toString(node.pid()), kind))) {
      return (int) all.count();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

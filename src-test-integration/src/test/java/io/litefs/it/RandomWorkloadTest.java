package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random statements run on a database in the mount and on one in a bare directory, while nodes
 * stop, start and die; both must hold the same, and the replica what the primary holds.
 *
 * <p>{@code -Dlitefs.it.seed=N} runs one seed, {@code -Dlitefs.it.seeds=N} that many new ones,
 * {@code -Dlitefs.it.steps=N} longer.
 */
class RandomWorkloadTest {

  private static final int STEPS = Integer.getInteger("litefs.it.steps", 120);

  static LongStream seeds() {
    Long one = Long.getLong("litefs.it.seed");
    if (one != null) {
      return LongStream.of(one);
    }
    Integer many = Integer.getInteger("litefs.it.seeds");
    return many == null ? LongStream.of(1, 2, 3) : new Random().longs(many, 1, 1_000_000);
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void theMountHoldsWhatABareDirectoryHoldsAndTheReplicaToo(long seed, @TempDir Path bare)
      throws Exception {
    try (Cluster cluster = Cluster.start(2);
        Run run = new Run(seed, cluster, bare)) {
      try {
        for (int i = 0; i < STEPS; i++) {
          run.step();
        }
        run.compare();
      } catch (Throwable e) {
        throw new AssertionError(
            "seed " + seed + " after:\n" + String.join("\n", run.history()) + "\n" + cluster.logs(),
            e);
      }
      for (Node node : cluster.nodes()) {
        assertThat(node.log()).doesNotContain("\tat ");
      }
    }
  }

  /** One random run: a connection to each of the two databases, and everything that was done. */
  private static final class Run implements AutoCloseable {
    private static final String DB = "r.db";

    private final Random random;
    private final Cluster cluster;
    private final Path bare;
    private final List<String> history = new ArrayList<>();
    private Session mounted;
    private Session reference;

    Run(long seed, Cluster cluster, Path dir) {
      this.random = new Random(seed);
      this.cluster = cluster;
      this.bare = dir.resolve(DB);
      reopen();
    }

    List<String> history() {
      return history;
    }

    private void reopen() {
      history.add("-- reopen");
      if (mounted != null) {
        mounted.close();
        reference.close();
      }
      mounted = Driver.SHELL.open(cluster.primary().db(DB));
      reference = Driver.SHELL.open(bare);
      both("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, a INTEGER, b BLOB)");
    }

    private void both(String... statements) {
      for (String statement : statements) {
        history.add(statement);
        String one = result(mounted, statement);
        String two = result(reference, statement);
        assertThat(one).as(statement).isEqualTo(two);
      }
    }

    private static String result(Session session, String statement) {
      try {
        return session.run(statement).toString();
      } catch (SqliteError e) {
        return e.getMessage().replaceAll("near line \\d+", "near line N");
      }
    }

    void step() throws Exception {
      switch (random.nextInt(30)) {
        case 0, 1, 2, 3, 4 -> both(insert());
        case 5, 6 -> both(update());
        case 7, 8 -> both(delete());
        case 9 -> {
          both("BEGIN");
          both(insert(), update(), delete());
          both(random.nextBoolean() ? "COMMIT" : "ROLLBACK");
        }
        case 10 -> {
          both("PRAGMA cache_size = 4", "BEGIN");
          both(insert(), update(), insert(), update());
          both(random.nextBoolean() ? "COMMIT" : "ROLLBACK", "PRAGMA cache_size = 200");
        }
        case 11 -> {
          both("SAVEPOINT s", insert(), "SAVEPOINT u", delete(), "ROLLBACK TO u", update());
          both(random.nextBoolean() ? "RELEASE s" : "ROLLBACK TO s", "COMMIT");
        }
        case 12, 13 ->
            both("PRAGMA journal_mode = " + pick("DELETE", "TRUNCATE", "PERSIST", "WAL", "WAL"));
        case 28 -> both("PRAGMA synchronous = FULL", "PRAGMA journal_mode = MEMORY");
        case 14 -> both("VACUUM");
        case 15 ->
            both(
                "PRAGMA journal_mode = DELETE",
                "PRAGMA page_size = " + pick("512", "1024", "4096", "8192", "65536"),
                "VACUUM");
        case 16 -> both("PRAGMA auto_vacuum = " + pick("NONE", "FULL", "INCREMENTAL"), "VACUUM");
        case 17 -> both("PRAGMA incremental_vacuum(" + random.nextInt(20) + ")");
        case 18 -> checkpoint();
        case 19 ->
            both(
                "CREATE INDEX IF NOT EXISTS ta ON t(a)",
                "CREATE TABLE IF NOT EXISTS u AS SELECT * FROM t");
        case 20 -> both("DROP INDEX IF EXISTS ta", "DROP TABLE IF EXISTS u");
        case 21 -> {
          boolean journalInMemory = reference.value("PRAGMA journal_mode").equals("memory");
          both("PRAGMA wal_autocheckpoint = " + pick("0", "5", "1000"));
          // With neither a journal nor a sync nothing tells where a transaction ends before the
          // connection closes.
          both(
              "PRAGMA synchronous = "
                  + (journalInMemory ? "FULL" : pick("OFF", "NORMAL", "FULL", "EXTRA")));
        }
        case 22, 23 -> reopen();
        case 24 -> drop();
        case 25, 26 -> restart();
        case 27 -> replaceByCopy();
        default -> compare();
      }
    }

    private void checkpoint() {
      // Its result tells frame counts, which depend on who else has the database open.
      String statement =
          "PRAGMA wal_checkpoint(" + pick("PASSIVE", "FULL", "RESTART", "TRUNCATE") + ")";
      history.add(statement);
      mounted.run(statement);
      reference.run(statement);
    }

    private String pick(String... choices) {
      return choices[random.nextInt(choices.length)];
    }

    private String bytes() {
      int size = 8 * (1 + random.nextInt(random.nextInt(5) == 0 ? 3000 : 60));
      return "CAST(replace(hex(zeroblob("
          + size / 8
          + ")), '00', printf('%08x', "
          + random.nextInt()
          + " + a * 7919)) AS BLOB)";
    }

    private String insert() {
      int rows = 1 + random.nextInt(random.nextInt(4) == 0 ? 400 : 10);
      return "INSERT INTO t(a, b) WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < "
          + rows
          + ") SELECT a, "
          + bytes()
          + " FROM n";
    }

    private String update() {
      return "UPDATE t SET a = a + 1, b = "
          + bytes()
          + " WHERE id % "
          + (1 + random.nextInt(12))
          + " = 0";
    }

    private String delete() {
      return "DELETE FROM t WHERE id % "
          + (1 + random.nextInt(4))
          + " = 0 AND a < "
          + random.nextInt(400);
    }

    private void drop() throws Exception {
      if (random.nextInt(3) != 0) {
        return;
      }
      history.add("-- drop");
      mounted.close();
      reference.close();
      mounted = null;
      Files.delete(cluster.primary().db(DB));
      for (String suffix : List.of("", "-journal", "-wal", "-shm")) {
        Files.deleteIfExists(Path.of(bare + suffix));
      }
      cluster.assertDropped(DB);
      reopen();
    }

    private void restart() {
      Node node = random.nextInt(3) == 0 ? cluster.primary() : cluster.replica();
      boolean kill = random.nextBoolean();
      history.add(
          (kill ? "-- kill " : "-- stop ") + (node == cluster.primary() ? "primary" : "replica"));
      if (node == cluster.primary()) {
        mounted.close();
        reference.close();
        mounted = null;
      }
      if (kill) {
        node.kill();
      } else {
        assertThat(node.stop()).isZero();
      }
      if (node != cluster.primary()) {
        both(insert(), update());
      }
      node.start();
      if (node == cluster.primary()) {
        reopen();
      }
    }

    private void replaceByCopy() {
      history.add("-- the bare database is copied over the mounted one");
      mounted.close();
      reference.close();
      mounted = null;
      Commands.run("cp", bare.toString(), cluster.primary().db(DB).toString()).orThrow();
      reopen();
    }

    void compare() {
      history.add("-- compare");
      cluster.assertIdentical(DB);
      assertThat(mounted.run("SELECT id, a, hex(b) FROM t ORDER BY id"))
          .isEqualTo(reference.run("SELECT id, a, hex(b) FROM t ORDER BY id"));
      assertThat(mounted.value("PRAGMA page_size")).isEqualTo(reference.value("PRAGMA page_size"));
    }

    @Override
    public void close() {
      if (mounted != null) {
        mounted.close();
      }
      reference.close();
    }
  }
}

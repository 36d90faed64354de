package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.LineSession;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * How often the daemon is asked. A request costs about 10 us and two switches of process; a read
 * transaction must make none, and one more per write transaction is a regression.
 */
@Tag("alone")
class RequestCountTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  /** Requests per operation between two readings. */
  private static Map<String, Long> difference(Map<String, Long> before, Map<String, Long> after) {
    Map<String, Long> result = new TreeMap<>();
    after.forEach(
        (op, count) -> {
          long more = count - before.getOrDefault(op, 0L);
          if (more != 0) {
            result.put(op, more);
          }
        });
    return result;
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aWarmReadTransactionAsksTheDaemonNothing(JournalMode mode) {
    String db = "reads-" + mode;
    try (LineSession writer = LineSession.jdbc(NODES.primary().db(db))) {
      writer.run(mode.pragma());
      writer.run("PRAGMA wal_autocheckpoint = 0");
      writer.run(Sql.CREATE);
      writer.run(Sql.insert(3000, 500));
      writer.run("PRAGMA wal_checkpoint(RESTART)");
      // In WAL mode some pages are in the database file now and some will be in the WAL.
      writer.run("UPDATE t SET a = a + 1 WHERE id % 3 = 0");
      NODES.cluster().sync(db);
      for (Node node : NODES.cluster().nodes()) {
        try (LineSession reader = LineSession.jdbc(node.db(db))) {
          // A cache of a few pages, so that SQLite reads the file again in each transaction.
          reader.run("PRAGMA cache_size = 5");
          for (int i = 0; i < 2; i++) {
            reader.run("SELECT sum(a), sum(length(b)) FROM t");
          }
          Map<String, Long> before = node.requestCounts();
          assertThat(before).as("litefs_fuse_request_count{op=...}").isNotEmpty();
          reader.repeat(500, "SELECT b FROM t WHERE id = ? * 5 + 1");
          reader.repeat(3, "SELECT sum(length(b)) FROM t");
          Map<String, Long> asked = difference(before, node.requestCounts());
          if (mode == JournalMode.PERSIST && node == NODES.primary()) {
            // SQLite itself opens a journal that exists, in each transaction, to see whether its
            // first byte is zero; and as root
            // it sets the owner.
            assertThat(asked.keySet())
                .isSubsetOf("open", "getattr", "setattr", "read", "flush", "release");
          } else {
            assertThat(asked).as(node == NODES.primary() ? "primary" : "replica").isEmpty();
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aReadAfterACommitAsksOnlyForWhatChanged(JournalMode mode) {
    String db = "fresh-" + mode;
    try (LineSession writer = LineSession.jdbc(NODES.primary().db(db));
        LineSession reader = prepared(writer, db, mode)) {
      Map<String, Long> before = NODES.replica().requestCounts();
      for (int i = 0; i < 50; i++) {
        writer.run("UPDATE t SET a = a + 1 WHERE id = " + (i + 1));
        NODES.cluster().sync(db);
        reader.run("SELECT sum(a) FROM t");
      }
      Map<String, Long> asked = difference(before, NODES.replica().requestCounts());
      // The test itself reads the position file; what is left is the reader's.
      long reads = asked.getOrDefault("read", 0L);
      assertThat(reads).as("reads of the position and of pages: " + asked).isLessThan(50 * 8);
    }
  }

  private static LineSession prepared(LineSession writer, String db, JournalMode mode) {
    writer.run(mode.pragma());
    writer.run(Sql.CREATE);
    writer.run(Sql.insert(2000, 500));
    NODES.cluster().sync(db);
    LineSession reader = LineSession.jdbc(NODES.replica().db(db));
    reader.run("SELECT sum(a), sum(length(b)) FROM t");
    return reader;
  }

  /**
   * The most requests that a one-row INSERT may make, over the mean of 200. Of DELETE's 25: ten
   * writes (the journal's header, three per page of it, the two pages), three fsyncs, create,
   * unlink, close and a look-up of the journal, two getattrs, one setattr, and the directory
   * opened, synced and closed. Of WAL's: a header and a page per frame, and a share of the
   * checkpoint.
   */
  @ParameterizedTest
  @CsvSource({
    "DELETE, FULL, 25.5",
    "TRUNCATE, FULL, 24.5",
    "PERSIST, FULL, 32.5",
    "WAL, FULL, 4.5",
    "WAL, NORMAL, 3.5",
    "DELETE, OFF, 18.5"
  })
  void aWriteTransactionAsksNoMoreThanItsBudget(
      JournalMode mode, String synchronous, double budget) {
    String db = "writes-" + mode + "-" + synchronous;
    try (LineSession writer = LineSession.jdbc(NODES.primary().db(db))) {
      writer.run(mode.pragma());
      writer.run("PRAGMA synchronous = " + synchronous);
      writer.run(Sql.CREATE);
      writer.repeat(50, "INSERT INTO t(a, b) VALUES (?, zeroblob(100))");
      Map<String, Long> before = NODES.primary().requestCounts();
      int times = 200;
      writer.repeat(times, "INSERT INTO t(a, b) VALUES (?, zeroblob(100))");
      Map<String, Long> asked = difference(before, NODES.primary().requestCounts());
      double each = asked.values().stream().mapToLong(Long::longValue).sum() / (double) times;
      System.out.printf("requests per INSERT, %s/%s: %.1f %s%n", mode, synchronous, each, asked);
      assertThat(each).as(asked.toString()).isPositive().isLessThanOrEqualTo(budget);
    }
  }
}

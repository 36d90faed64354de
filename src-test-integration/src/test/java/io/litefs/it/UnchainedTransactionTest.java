package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * SQLite 3.40.1, which Debian 12 has, leaves frames of a transaction without a checksum if its
 * cache spilled and it went back to a savepoint: all readers see it, a recovery by SQLite does not.
 */
class UnchainedTransactionTest {

  static final int PAGE_SIZE = 1024;

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  /** With 20 rows undone the commit frame has a checksum and the first has none, otherwise none. */
  @ParameterizedTest
  @CsvSource({
    "5, 100, 20, NORMAL, NORMAL, 1",
    "10, 10, 100, NORMAL, NORMAL, 3",
    "10, 10, 250, FULL, NORMAL, 3",
    "10, 10, 100, NORMAL, EXCLUSIVE, 3"
  })
  void aTransactionWhoseFramesHaveNoChecksumIsATransaction(
      int cache, int rows, int undone, String synchronous, String locking, int repeats) {
    String db = "unchained-" + undone + "-" + synchronous + "-" + locking;
    String read = "SELECT count(*) || ' ' || sum(length(b)) || ' ' || max(a) FROM t";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
      session.runAll(
          "PRAGMA page_size = " + PAGE_SIZE,
          "PRAGMA locking_mode = " + locking,
          "PRAGMA journal_mode = WAL",
          "PRAGMA cache_size = " + cache,
          "PRAGMA synchronous = " + synchronous,
          "CREATE TABLE t(a INTEGER PRIMARY KEY, n, b)",
          "CREATE INDEX tn ON t(n, b)",
          insert(rows, 130),
          "PRAGMA wal_checkpoint(TRUNCATE)");
      settle(session, db, locking);
      boolean left = false;
      try (Session replica = Driver.SHELL.open(NODES.replica().db(db))) {
        for (int i = 0; i < repeats; i++) {
          session.runAll(
              "BEGIN IMMEDIATE",
              "SAVEPOINT s",
              insert(undone, 131),
              "ROLLBACK TO s",
              "RELEASE s",
              insert(1, 20),
              "COMMIT");
          left |= hasFramesWithoutChecksum(NODES.primary(), db);
          settle(session, db, locking);
          assertThat(replica.value(read)).isEqualTo(session.value(read));
        }
        session.run(insert(3, 50));
        settle(session, db, locking);
        assertThat(replica.value(read)).isEqualTo(session.value(read));
      }
      String expected = session.value(read);
      String version = session.value("SELECT sqlite_version()");
      NODES.primary().kill();
      NODES.primary().start();
      NODES.cluster().assertIdentical(db);
      try (Session again = Driver.SHELL.open(NODES.primary().db(db));
          Session replica = Driver.SHELL.open(NODES.replica().db(db))) {
        assertThat(again.value("PRAGMA integrity_check")).isEqualTo("ok");
        assertThat(again.value(read)).isEqualTo(expected);
        assertThat(replica.value(read)).isEqualTo(expected);
      }
      if (version.equals("3.40.1")) {
        assertThat(left).as("the case occurred").isTrue();
      }
    }
  }

  /** It looks at the index, and removes it, with what the transaction left undecided. */
  @Test
  void itsConnectionMayCloseRightAfterIt() {
    String db = "unchained-closed";
    for (int i = 0; i < 5; i++) {
      try (Session session = Driver.SHELL.open(NODES.primary().db(db))) {
        session.runAll(
            "PRAGMA page_size = " + PAGE_SIZE,
            "PRAGMA journal_mode = WAL",
            "PRAGMA cache_size = 10",
            "CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, n, b)",
            insert(10, 130),
            "BEGIN IMMEDIATE",
            "SAVEPOINT s",
            insert(100, 131),
            "ROLLBACK TO s",
            "RELEASE s",
            insert(1, 20),
            "COMMIT");
      }
      NODES.cluster().assertIdentical(db);
    }
    try (Session replica = Driver.SHELL.open(NODES.replica().db(db))) {
      assertThat(replica.value("SELECT count(*) FROM t")).isEqualTo("55");
    }
  }

  /** A connection that has the index in its memory shows by a checkpoint what is committed. */
  private static void settle(Session session, String db, String locking) {
    if (locking.equals("EXCLUSIVE")) {
      session.run("PRAGMA wal_checkpoint");
      NODES.replica().awaitPos(db, NODES.primary().pos(db));
    } else {
      NODES.cluster().assertIdentical(db);
    }
  }

  static String insert(int rows, int bytes) {
    return "INSERT INTO t(n, b) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < "
        + rows
        + ") SELECT i, randomblob("
        + bytes
        + ") FROM c";
  }

  /** After a checkpoint that cut the WAL, the first frame is the transaction's. */
  static boolean hasFramesWithoutChecksum(Node node, String db) {
    try {
      ByteBuffer wal = ByteBuffer.wrap(Files.readAllBytes(node.backing(db, "wal")));
      return wal.getLong(32 + 8) == 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

package io.litefs.it.soak;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.Commands;
import io.litefs.it.Node;
import io.litefs.it.NodeConfig;
import io.litefs.it.soak.FileOperation.Kind;
import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What must be on the disk before something else may be changed, seen in the order of the daemon's
 * system calls. {@link PowerCut} would show what comes of another order, but only where its cuts
 * happen to fall.
 */
class SyncOrderTest {

  private static final String DB = "db";
  private static final String DATABASE = "dbs/db/database";
  private static final String SEGMENT = "dbs/db/segment";
  private static final String JOURNAL = "dbs/db/journal";

  private final Path dir = Commands.workDirectory("sync-order");
  private final NodeConfig primaryConfig = NodeConfig.primary();
  private final Node primary = Node.create("sync-order-primary", primaryConfig);
  private final NodeConfig replicaConfig = NodeConfig.replicaOf(primary.port());
  private final Node replica = Node.create("sync-order-replica", replicaConfig);

  @BeforeEach
  void createDatabase() {
    assertThat(StraceLog.possible()).as("strace is installed and may trace").isTrue();
    primary.start();
    try (Session session = Driver.PYTHON.open(primary.db(DB))) {
      session.runAll(
          "PRAGMA journal_mode = DELETE",
          "CREATE TABLE t (id INTEGER PRIMARY KEY, b)",
          "INSERT INTO t(b) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c"
              + " WHERE i < 500) SELECT randomblob(1000) FROM c");
    }
  }

  @AfterEach
  void close() {
    replica.close();
    primary.close();
    Commands.run("rm", "-rf", dir.toString()).orThrow();
  }

  /** Pages have spilled, and what SQLite restores is in no transaction of the log. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "BEGIN; UPDATE t SET b = randomblob(1000); ROLLBACK",
        "BEGIN; INSERT INTO t(b) VALUES (1); SAVEPOINT a; UPDATE t SET b = randomblob(1000);"
            + " ROLLBACK TO a; COMMIT"
      })
  void restoredPagesAreSyncedBeforeTheirJournalGoes(String transaction) {
    primary.stop();
    trace(primary, primaryConfig);
    try (Session session = Driver.PYTHON.open(primary.db(DB))) {
      session.run("PRAGMA cache_size = 5");
      session.runAll(transaction.split("; "));
    }
    List<FileOperation> operations = stopAndRead(primary);
    int end = last(operations, operations.size(), Kind.UNLINK, JOURNAL);
    int restored = last(operations, end, Kind.WRITE, DATABASE);
    assertThat(restored).as("pages have spilled").isNotNegative();
    assertThat(operations.subList(restored, end))
        .as("between the last page and the end of the journal")
        .anyMatch(o -> isSync(o, DATABASE));
  }

  @Test
  void aReplicaHasTheTransactionOnDiskBeforeItOverwritesPages() {
    replica.start();
    replica.awaitPos(DB, primary.pos(DB));
    replica.stop();
    trace(replica, replicaConfig);
    replica.awaitPos(DB, primary.pos(DB));
    try (Session session = Driver.PYTHON.open(primary.db(DB))) {
      session.run("UPDATE t SET b = randomblob(1000) WHERE id % 10 = 0");
    }
    replica.awaitPos(DB, primary.pos(DB));
    List<FileOperation> operations = stopAndRead(replica);
    int overwrites = first(operations, Kind.WRITE, DATABASE);
    int arrived = last(operations, overwrites, Kind.RENAME, "dbs/db/ltx/incoming.tmp");
    assertThat(arrived).as("a transaction has arrived before").isNotNegative();
    String ltx = operations.get(arrived).target();
    // Its bytes are in the segment too, which is shorter to sync.
    int copied = last(operations, overwrites, Kind.WRITE, SEGMENT);
    assertThat(operations.subList(Math.max(arrived, copied), overwrites))
        .as("between the transaction's arrival and the first page")
        .anyMatch(o -> isSync(o, ltx) || copied > arrived && isSync(o, SEGMENT));
  }

  private void trace(Node node, NodeConfig config) {
    Path java = StraceLog.tracedJava(dir.resolve("java"), dir.resolve("strace"));
    config.env("JAVA_HOME", java.toString());
    node.start();
  }

  private List<FileOperation> stopAndRead(Node node) {
    long pid = node.pid();
    assertThat(node.stop()).isZero();
    StraceLog.awaitEnd(dir.resolve("strace"), pid);
    return StraceLog.read(dir.resolve("strace"), node.data());
  }

  /** The index of the first such operation. */
  private static int first(List<FileOperation> operations, Kind kind, String path) {
    for (int i = 0; i < operations.size(); i++) {
      if (operations.get(i).kind() == kind && operations.get(i).path().equals(path)) {
        return i;
      }
    }
    throw new AssertionError("no " + kind + " of " + path);
  }

  /** The index of the last such operation before {@code end}; -1 if there is none. */
  private static int last(List<FileOperation> operations, int end, Kind kind, String path) {
    for (int i = end - 1; i >= 0; i--) {
      if (operations.get(i).kind() == kind && operations.get(i).path().equals(path)) {
        return i;
      }
    }
    return -1;
  }

  private static boolean isSync(FileOperation operation, String path) {
    return switch (operation.kind()) {
      case FSYNC, FDATASYNC -> operation.path().equals(path);
      case SYNCFS -> true;
      default -> false;
    };
  }
}

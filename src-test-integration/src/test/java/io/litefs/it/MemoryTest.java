package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.LineSession;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The daemon's memory does not depend on how much it has done, nor on the size of a transaction.
 */
class MemoryTest {

  private static final long MIB = 1 << 20;

  /** {@code -Dlitefs.it.transactions=1000000} makes this a soak test. */
  private static final int TRANSACTIONS = Integer.getInteger("litefs.it.transactions", 20_000);

  @ParameterizedTest
  @EnumSource(
      value = JournalMode.class,
      names = {"DELETE", "WAL"})
  void memoryIsFlatUnderManySmallTransactions(JournalMode mode) {
    try (Cluster cluster = Cluster.start(2);
        LineSession writer = LineSession.jdbc(cluster.primary().db("m.db"))) {
      writer.run(mode.pragma());
      writer.run("PRAGMA synchronous = OFF");
      writer.run("CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
      String sql = "INSERT OR REPLACE INTO t VALUES (? % 1000, randomblob(200))";
      writer.repeat(TRANSACTIONS / 5, sql);
      cluster.sync("m.db");
      long[] before = cluster.nodes().stream().mapToLong(Node::heldBytes).toArray();
      writer.repeat(TRANSACTIONS, sql);
      cluster.sync("m.db");
      for (int i = 0; i < before.length; i++) {
        long resident = cluster.nodes().get(i).residentBytes();
        long held = cluster.nodes().get(i).heldBytes();
        System.out.printf(
            "after %d %s transactions, node %d: %d MiB resident, %d MiB held, %d before%n",
            TRANSACTIONS, mode, i, resident / MIB, held / MIB, before[i] / MIB);
        assertThat(resident).isLessThan(170 * MIB);
        // The compiler may be at work when one of the two is taken.
        assertThat(held).isLessThan(before[i] + 32 * MIB);
      }
      cluster.assertIdentical("m.db");
    }
  }

  @Test
  void aThousandDatabasesThatCameAndWentLeaveNothingBehind() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      Runnable round =
          () ->
              Commands.shell(
                      "for i in $(seq 1 100); do sqlite3 '"
                          + cluster.primary().mount()
                          + "'/db$i 'CREATE TABLE t(a); INSERT INTO t VALUES (1)' && rm '"
                          + cluster.primary().mount()
                          + "'/db$i; done")
                  .orThrow();
      round.run();
      cluster.assertDropped("db100");
      long before = cluster.primary().heldBytes();
      round.run();
      round.run();
      cluster.assertDropped("db100");
      assertThat(cluster.primary().heldBytes()).isLessThan(before + 24 * MIB);
    }
  }
}

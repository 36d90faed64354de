package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import org.junit.jupiter.api.Test;

/** LTX files are removed before their time when they are too large together. */
class RetentionSizeTest {

  @Test
  void theOldestFilesGoBeyondTheBoundAndAReplicaThatWasAwayGetsASnapshot() {
    try (Cluster cluster =
        Cluster.start(
            2,
            config ->
                config
                    .set("data", "retention-size", "64KiB")
                    .set("data", "compress", "false")
                    .set("data", "retention-monitor-interval", "100ms"))) {
      Node primary = cluster.primary();
      try (Session session = Driver.SHELL.open(primary.db("a.db"))) {
        session.runAll(Sql.CREATE, Sql.insert(100, 500));
        cluster.assertIdentical("a.db");
        cluster.replica().stop();
        for (int i = 0; i < 40; i++) {
          session.run("INSERT INTO t(a) VALUES (" + i + ")");
        }
      }
      Await.until(
          "the bound holds",
          () -> primary.metrics().get("litefs_db_ltx_bytes", "db", "a.db") <= 64 * 1024);
      assertThat(primary.metrics().get("litefs_db_ltx_count", "db", "a.db")).isGreaterThan(2);
      assertThat(primary.metrics().get("litefs_db_ltx_reap_count", "db", "a.db")).isPositive();
      cluster.replica().start();
      cluster.assertIdentical("a.db");
      assertThat(cluster.replica().data().resolve("diverged")).doesNotExist();
    }
  }
}

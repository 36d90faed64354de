package io.litefs.it.bench;

import io.litefs.it.Await;
import io.litefs.it.Cluster;
import io.litefs.it.Commands;
import io.litefs.it.Position;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** A replica that was away for transactions of 1 MB each, which does not compress. */
final class CatchUp {

  private static final Duration LIMIT = Duration.ofMinutes(10);
  private static final String DATABASE = "catchup";
  private static final String WRITER =
      """
      (echo 'PRAGMA synchronous = OFF; CREATE TABLE c(id INTEGER PRIMARY KEY, b);'
       for i in $(seq 1 $2); do
         echo "INSERT OR REPLACE INTO c VALUES ($i % 50, randomblob(1000000));"
       done) | sqlite3 "$1"
      """;

  private final Cluster cluster;
  private final SqlBench sql;
  private final int transactions;

  CatchUp(Cluster cluster, SqlBench sql, int transactions) {
    this.transactions = transactions;
    this.cluster = cluster;
    this.sql = sql;
  }

  double megabytesPerSecond() {
    Path file = cluster.primary().db(DATABASE);
    sql.fill(file, 10, 100, "journal_mode=WAL", "synchronous=OFF");
    cluster.sync(DATABASE);
    cluster.replica().stop();
    double before = logBytes();
    Commands.run(
            LIMIT,
            Map.of(),
            List.of("sh", "-c", WRITER, "sh", file.toString(), Integer.toString(transactions)))
        .orThrow();
    double bytes = logBytes() - before;
    Position pos = cluster.primary().pos(DATABASE);
    cluster.replica().launch();
    Await.until(
        LIMIT, "the replica begins to catch up", () -> cluster.replica().pos(DATABASE).txid() > 3);
    double begun = cluster.replica().pos(DATABASE).txid() / (double) pos.txid();
    long start = System.nanoTime();
    cluster.replica().awaitPos(DATABASE, pos, LIMIT);
    return bytes * (1 - begun) / 1e6 / ((System.nanoTime() - start) / 1e9);
  }

  private double logBytes() {
    return cluster.primary().metrics().get("litefs_db_ltx_bytes", "db", DATABASE);
  }
}

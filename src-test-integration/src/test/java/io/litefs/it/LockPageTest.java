package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A database that grows beyond 1 GiB, where the page that holds SQLite's lock bytes belongs to no
 * transaction.
 */
class LockPageTest {

  private static final long GIB = 0x40000000L;

  private static final Duration LIMIT = Duration.ofMinutes(3);

  @Test
  void aDatabaseGrowsAcrossTheLockPageTo1200MegabytesAndShrinksAgain(@TempDir Path dir)
      throws Exception {
    String db = "large.db";
    Path prepared = dir.resolve(db);
    Commands.run(
            LIMIT,
            Map.of(),
            List.of(
                "sqlite3",
                prepared.toString(),
                "PRAGMA synchronous = OFF; PRAGMA page_size = 4096;"
                    + Sql.CREATE
                    + "; CREATE TABLE filler(b); INSERT INTO filler VALUES (zeroblob(530000000)), (zeroblob(530000000));"
                    + Sql.insert(1000, 3000)))
        .orThrow();
    assertThat(prepared.toFile().length()).isLessThan(GIB);

    try (Cluster cluster = Cluster.start(2)) {
      Commands.run(
              LIMIT,
              Map.of(),
              List.of("cp", prepared.toString(), cluster.primary().db(db).toString()))
          .orThrow();
      try (Session session = Driver.SHELL.open(cluster.primary().db(db))) {
        session.runAll("PRAGMA synchronous = OFF", "PRAGMA journal_mode = DELETE");
        session.run(Sql.insert(5000, 4000));
        assertThat(cluster.primary().db(db).toFile().length()).isGreaterThan(GIB + 4096);
        assertThat(lockPage(cluster.primary().db(db))).containsOnly(0);

        session.run("PRAGMA journal_mode = WAL");
        session.run("INSERT INTO filler VALUES (zeroblob(120000000))");
        session.run("UPDATE t SET b = randomblob(3500) WHERE a % 10 = 0");
        session.run("PRAGMA wal_checkpoint(TRUNCATE)");
        assertThat(cluster.primary().db(db).toFile().length()).isGreaterThan(1_190_000_000L);
        compare(cluster, db);

        session.runAll("PRAGMA journal_mode = TRUNCATE", "DELETE FROM t WHERE a > 500");
        session.run("INSERT INTO t(a) VALUES (1)");
        compare(cluster, db);
        assertThat(
                Commands.run(
                        LIMIT,
                        Map.of(),
                        List.of(
                            "sqlite3", cluster.replica().db(db).toString(), "PRAGMA quick_check"))
                    .output())
            .isEqualTo("ok\n");

        session.runAll("DELETE FROM filler", "VACUUM");
        assertThat(cluster.primary().db(db).toFile().length()).isLessThan(GIB);
        cluster.assertIdentical(db);
      }
    }
  }

  private static byte[] lockPage(Path file) throws Exception {
    try (RandomAccessFile in = new RandomAccessFile(file.toFile(), "r")) {
      byte[] page = new byte[4096];
      in.seek(GIB);
      in.readFully(page);
      return page;
    }
  }

  private static void compare(Cluster cluster, String db) {
    Position pos = cluster.primary().pos(db);
    cluster.replica().awaitPos(db, pos, LIMIT);
    DatabaseImage one = cluster.primary().export(db);
    assertThat(one.checksum()).isEqualTo(pos.checksum());
    DatabaseImage two = cluster.replica().export(db);
    one.assertSameBytes(two);
    one.delete();
    two.delete();
  }
}

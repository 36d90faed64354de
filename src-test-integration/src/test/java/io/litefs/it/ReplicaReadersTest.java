package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Readers of every kind on a replica, in WAL mode, while the primary writes as fast as it can. They
 * have no busy timeout: not one may be told to wait.
 *
 * <p>{@code -Dlitefs.it.stress.seconds=N} for longer runs (20 s each by default).
 */
class ReplicaReadersTest {

  @RegisterExtension
  static final Nodes NODES = Nodes.of(2, config -> config.set("data", "replica-wal-limit", "4MB"));

  private static final Duration STRESS =
      Duration.ofSeconds(Long.getLong("litefs.it.stress.seconds", 20));

  /** Every transaction moves amounts, counts itself, and adds a row of a random size. */
  private static final String[] SCHEMA = {
    "PRAGMA page_size = 1024",
    "PRAGMA auto_vacuum = incremental",
    "PRAGMA journal_mode = WAL",
    "CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER)",
    "CREATE TABLE done(n INTEGER)",
    "CREATE TABLE log(id INTEGER PRIMARY KEY, size INTEGER, content BLOB)",
    "INSERT INTO done VALUES (0)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
        + " INSERT INTO account SELECT i, 100 FROM n"
  };

  /** Sum of the amounts, and by how much the log's sizes and the counter are off: nothing. */
  private static final String INVARIANTS =
      "SELECT (SELECT sum(amount) FROM account) || ' '"
          + " || (SELECT count(*) FROM log WHERE size <> length(content)) || ' '"
          + " || ((SELECT coalesce(max(id), 0) FROM log) - (SELECT n FROM done))";

  private static final String HOLD = "50000 0 0";

  /** The writer on the primary, at full speed. */
  private static final class Writer {
    private final Session session;
    private long transactions;

    Writer(String db) {
      session = Driver.SHELL.open(NODES.primary().db(db));
      session.runAll(SCHEMA);
      session.run("PRAGMA synchronous = NORMAL");
    }

    void write() {
      transactions++;
      // Now and then one that is larger than a block of the index, and one that shrinks the file.
      int size = transactions % 400 == 0 ? 5_000_000 : (int) (transactions * 7919 % 6000);
      session.runAll(
          "BEGIN",
          "UPDATE account SET amount = amount - 3 WHERE id = 1 + " + transactions * 31 + " % 500",
          "UPDATE account SET amount = amount + 3 WHERE id = 1 + " + transactions * 17 + " % 500",
          "INSERT INTO log VALUES (" + transactions + ", " + size + ", randomblob(" + size + "))",
          "UPDATE done SET n = " + transactions,
          "COMMIT");
      if (transactions % 150 == 0) {
        session.run("DELETE FROM log WHERE id < " + (transactions - 100));
        session.run("PRAGMA incremental_vacuum");
      }
      if (transactions % 900 == 0) {
        session.run("VACUUM");
      }
    }
  }

  /**
   * Held for writing while the replica is down: SQLite would create a database of this name in the
   * directory below the mount, on which nothing can be mounted then.
   */
  private static final ReentrantReadWriteLock MOUNTED = new ReentrantReadWriteLock();

  /** A process that reads over and over, and the thread that tells it to. */
  private static final class Reader {
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final AtomicLong transactions = new AtomicLong();
    private final String name;
    private final Thread thread;
    private volatile boolean stopped;

    Reader(String db, Driver driver, boolean longTransactions, int mmapBytes, boolean dies) {
      name = driver + (longTransactions ? " long" : " short") + " mmap_size=" + mmapBytes;
      thread =
          new Thread(
              () -> {
                while (!stopped) {
                  try (Session session = open(db, driver, mmapBytes)) {
                    while (!stopped) {
                      read(session, longTransactions);
                      transactions.incrementAndGet();
                    }
                  } catch (SqliteError e) {
                    if (!dies || !isOfADeadMount(e)) {
                      failure.compareAndSet(null, e);
                      return;
                    }
                  } catch (Throwable e) {
                    failure.compareAndSet(null, e);
                    return;
                  }
                }
              },
              name);
      thread.start();
    }

    private static Session open(String db, Driver driver, int mmapBytes) {
      MOUNTED.readLock().lock();
      try {
        Session session = driver.open(NODES.replica().db(db));
        session.run("PRAGMA busy_timeout = 0");
        session.run("PRAGMA mmap_size = " + mmapBytes);
        assertThat(session.value(INVARIANTS)).isEqualTo(HOLD);
        return session;
      } finally {
        MOUNTED.readLock().unlock();
      }
    }

    /** What a process is told, or what becomes of it, when the daemon of its mount is killed. */
    private static boolean isOfADeadMount(SqliteError e) {
      String message = String.valueOf(e.getMessage());
      return message.contains("disk I/O error")
          || message.contains("unable to open database file")
          || message.contains("the process ended");
    }

    private static void read(Session session, boolean longTransaction) {
      if (!longTransaction) {
        assertThat(session.value(INVARIANTS)).isEqualTo(HOLD);
        return;
      }
      session.run("BEGIN");
      assertThat(session.value(INVARIANTS)).isEqualTo(HOLD);
      String n = session.value("SELECT n FROM done");
      String digest = session.value("SELECT sum(id * 7 + size), count(*) FROM log");
      for (int i = 0; i < 12; i++) {
        assertThat(session.value("SELECT n FROM done")).isEqualTo(n);
        assertThat(session.value("SELECT sum(id * 7 + size), count(*) FROM log")).isEqualTo(digest);
        assertThat(session.value(INVARIANTS)).isEqualTo(HOLD);
      }
      assertThat(session.value("PRAGMA integrity_check")).isEqualTo("ok");
      assertThat(session.value("SELECT n FROM done")).isEqualTo(n);
      session.run("COMMIT");
    }

    void stop() throws InterruptedException {
      stopped = true;
      thread.join();
      if (failure.get() != null) {
        throw new AssertionError(name + ": " + failure.get(), failure.get());
      }
    }
  }

  /** One of each kind; they end with {@link #close} whatever becomes of the test. */
  private record Readers(List<Reader> all) implements AutoCloseable {

    static Readers of(String db, boolean dies) {
      List<Reader> readers = new ArrayList<>();
      for (Driver driver : Driver.values()) {
        readers.add(new Reader(db, driver, false, driver == Driver.JDBC ? 1 << 28 : 0, dies));
        readers.add(new Reader(db, driver, true, driver == Driver.SHELL ? 1 << 28 : 0, dies));
      }
      return new Readers(readers);
    }

    void stop() throws InterruptedException {
      close();
      for (Reader reader : all) {
        reader.stop();
      }
    }

    @Override
    public void close() {
      for (Reader reader : all) {
        reader.stopped = true;
      }
    }
  }

  private static Readers readersInSync(String db, boolean dies) {
    NODES.cluster().sync(db);
    return Readers.of(db, dies);
  }

  @Test
  void readersNeverFailNorWaitWhileThePrimaryWritesAtFullSpeed() throws InterruptedException {
    String db = "stress";
    Writer writer = new Writer(db);
    try (Session session = writer.session;
        Readers readers = readersInSync(db, false)) {
      long end = System.nanoTime() + STRESS.toNanos();
      while (System.nanoTime() < end) {
        writer.write();
      }
      Position pos = NODES.primary().pos(db);
      NODES.replica().awaitPos(db, pos);
      readers.stop();
      for (Reader reader : readers.all()) {
        assertThat(reader.transactions.get()).as(reader.name).isPositive();
      }
      assertThat(writer.transactions).isGreaterThan(100);
      assertThat(session.value(INVARIANTS)).isEqualTo(HOLD);
    }
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void aKilledReplicaComesBackConsistentWhateverItWasDoing() throws InterruptedException {
    String db = "killed";
    Writer writer = new Writer(db);
    try (Session session = writer.session;
        Readers readers = readersInSync(db, true)) {
      long end = System.nanoTime() + STRESS.toNanos();
      int kills = 0;
      while (System.nanoTime() < end || kills < 2) {
        for (long left = 100 + kills * 97L % 300; left > 0; left--) {
          writer.write();
        }
        MOUNTED.writeLock().lock();
        try {
          NODES.replica().kill();
          kills++;
          writer.write();
          NODES.replica().start();
        } finally {
          MOUNTED.writeLock().unlock();
        }
        Position pos = NODES.primary().pos(db);
        NODES.replica().awaitPos(db, pos);
        try (Session check = Driver.SHELL.open(NODES.replica().db(db))) {
          assertThat(check.value(INVARIANTS)).isEqualTo(HOLD);
          assertThat(check.value("PRAGMA integrity_check")).isEqualTo("ok");
        }
      }
      readers.stop();
      assertThat(session.value(INVARIANTS)).isEqualTo(HOLD);
    }
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void aReaderThatStaysCostsSpaceAndNotReplication() {
    String db = "stays";
    Writer writer = new Writer(db);
    try (Session session = writer.session) {
      NODES.cluster().sync(db);
      try (Session reader = Driver.SHELL.open(NODES.replica().db(db))) {
        reader.run("PRAGMA busy_timeout = 0");
        reader.run("BEGIN");
        assertThat(reader.value("SELECT n FROM done")).isEqualTo("0");
        for (int i = 0; i < 6; i++) {
          session.run("INSERT INTO log VALUES (-" + (i + 1) + ", 3000000, randomblob(3000000))");
        }
        NODES.cluster().sync(db);
        String warning = "keeps it with a read transaction";
        Await.until(warning, () -> NODES.replica().log().contains(warning));
        assertThat(NODES.replica().log())
            .contains(db + ": the WAL has grown to")
            .contains("(pid " + reader.pid() + ")");
        assertThat(reader.value("SELECT count(*) FROM log")).isEqualTo("0");
        assertThat(reader.value("PRAGMA integrity_check")).isEqualTo("ok");
        reader.run("COMMIT");
        assertThat(reader.value("SELECT count(*) FROM log")).isEqualTo("6");
      }
      Await.until(
          "the WAL begins anew",
          () -> {
            session.run("UPDATE done SET n = n");
            return java.nio.file.Files.size(NODES.replica().backing(db, "wal")) < 4 << 20;
          });
    }
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void onlyAChangeOfThePageSizeWaitsForAReadTransactionAndItsProcessIsNamed() {
    String db = "page-size";
    Writer writer = new Writer(db);
    try (Session session = writer.session) {
      writer.write();
      NODES.cluster().sync(db);
      try (Session reader = Driver.PYTHON.open(NODES.replica().db(db))) {
        reader.run("PRAGMA busy_timeout = 0");
        reader.run("BEGIN");
        assertThat(reader.value("SELECT n FROM done")).isEqualTo("1");
        writer.write();
        NODES.cluster().sync(db);
        session.runAll(
            "PRAGMA journal_mode = DELETE",
            "PRAGMA page_size = 4096",
            "VACUUM",
            "PRAGMA journal_mode = WAL");
        writer.write();
        awaitNamed(db, reader);
        assertThat(reader.value("SELECT n FROM done")).isEqualTo("1");
        assertThat(reader.value(INVARIANTS)).isEqualTo(HOLD);
        reader.run("COMMIT");
        NODES.cluster().sync(db);
        assertThat(reader.value("SELECT n FROM done")).isEqualTo("3");
        assertThat(reader.value("PRAGMA page_size")).isEqualTo("4096");
        assertThat(reader.value("PRAGMA integrity_check")).isEqualTo("ok");
      }
    }
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void aReaderOfARollbackJournalDatabaseIsNamedAndKeepsNeitherOtherReadersNorOtherDatabases() {
    String db = "rollback";
    try (Session session = Driver.SHELL.open(NODES.primary().db(db));
        Session other = Driver.SHELL.open(NODES.primary().db("other"))) {
      session.runAll("PRAGMA journal_mode = DELETE", Sql.CREATE, Sql.insert(10, 100));
      other.runAll("PRAGMA journal_mode = WAL", Sql.CREATE);
      NODES.cluster().sync(db);
      NODES.cluster().sync("other");
      try (Session reader = Driver.SHELL.open(NODES.replica().db(db));
          Session second = Driver.SHELL.open(NODES.replica().db(db))) {
        reader.run("BEGIN");
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("10");
        session.run(Sql.insert(5, 100));
        awaitNamed(db, reader);
        other.run(Sql.insert(5, 100));
        NODES.cluster().sync("other");
        assertThat(second.value("SELECT count(*) FROM t")).isEqualTo("10");
        assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo("10");
        reader.run("COMMIT");
        NODES.cluster().sync(db);
        assertThat(second.value("SELECT count(*) FROM t")).isEqualTo("15");
      }
    }
    NODES.cluster().assertIdentical(db);
  }

  private static void awaitNamed(String db, Session reader) {
    String holder = "(pid " + reader.pid() + ") holds the database";
    Await.until(
        holder,
        () ->
            NODES
                .replica()
                .log()
                .lines()
                .anyMatch(line -> line.contains(db + ": transaction") && line.contains(holder)));
  }

  @Test
  void exportsOfTheReplicaShowOnePositionWhileTransactionsAreApplied() throws InterruptedException {
    String db = "exported";
    Writer writer = new Writer(db);
    try (Session session = writer.session) {
      NODES.cluster().sync(db);
      AtomicReference<Throwable> failure = new AtomicReference<>();
      AtomicLong exports = new AtomicLong();
      var stopped = new java.util.concurrent.atomic.AtomicBoolean();
      Thread exporter =
          new Thread(
              () -> {
                try {
                  while (!stopped.get()) {
                    DatabaseImage image = NODES.replica().export(db);
                    String file = image.file().toString();
                    assertThat(
                            Commands.run("sqlite3", file, INVARIANTS, "PRAGMA integrity_check")
                                .orThrow()
                                .output()
                                .strip())
                        .isEqualTo(HOLD + "\nok");
                    image.delete();
                    exports.incrementAndGet();
                  }
                } catch (Throwable e) {
                  failure.set(e);
                }
              });
      exporter.start();
      long transactions = 0;
      while ((exports.get() < 8 || transactions < 500) && failure.get() == null) {
        writer.write();
        transactions++;
      }
      stopped.set(true);
      exporter.join();
      assertThat(failure.get()).isNull();
      assertThat(session.value(INVARIANTS)).isEqualTo(HOLD);
    }
    NODES.cluster().assertIdentical(db);
  }
}

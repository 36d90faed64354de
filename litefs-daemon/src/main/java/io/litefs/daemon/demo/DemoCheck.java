package io.litefs.daemon.demo;

import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;

/**
 * A round through both nodes: in each journal mode a real SQLite creates, fills, changes and
 * vacuums a database on the primary; the replica must come to the same position, the same bytes and
 * the same answers. Then single commits are timed.
 */
final class DemoCheck {

  private static final int TIMED_COMMITS = 500;

  /**
   * Commits before those: the daemons have just started, and a JVM needs some rounds to compile
   * what it runs.
   */
  private static final int WARMUP_COMMITS = 1000;

  private static final Duration LIMIT = Duration.ofSeconds(30);

  private final DemoNode primary;
  private final DemoNode replica;
  private final PrintStream out;
  private boolean passed = true;

  DemoCheck(DemoNode primary, DemoNode replica, PrintStream out) {
    this.primary = primary;
    this.replica = replica;
    this.out = out;
  }

  /** Returns whether all was well; prints what was seen. */
  boolean run() throws CommandException, InterruptedException {
    EventReader events = new EventReader(replica.url());
    try {
      for (String mode : new String[] {"DELETE", "WAL"}) {
        checkMode(mode, "check-" + mode.toLowerCase(Locale.ROOT) + ".db", events);
      }
    } catch (SQLException | IOException e) {
      throw new CommandException("the check broke off: " + e.getMessage(), e);
    }
    out.println(passed ? "check passed" : "check FAILED");
    return passed;
  }

  private void checkMode(String mode, String database, EventReader events)
      throws SQLException, IOException, CommandException, InterruptedException {
    Lags lags;
    try (Connection connection = open(primary, database)) {
      try (Statement sql = connection.createStatement()) {
        sql.execute("PRAGMA journal_mode = " + mode);
        fill(connection, sql);
      }
      lags = timeCommits(connection, database, events);
    }
    compare(mode, database, events);
    out.printf(
        Locale.ROOT,
        "ok    journal_mode=%-6s  commit to visible on the replica: p50 %.2f ms, p99 %.2f ms (%d commits)%n",
        mode,
        lags.percentile(50),
        lags.percentile(99),
        TIMED_COMMITS);
  }

  private static void fill(Connection connection, Statement sql) throws SQLException {
    sql.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB)");
    sql.execute("CREATE INDEX item_by_name ON item (name)");
    connection.setAutoCommit(false);
    sql.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            + " INSERT INTO item (name, body) SELECT 'item ' || i, randomblob(200) FROM n");
    connection.commit();
    sql.execute("UPDATE item SET body = randomblob(900) WHERE id % 7 = 0");
    connection.commit();
    sql.execute("DELETE FROM item WHERE id > 1200");
    connection.rollback();
    sql.execute("DELETE FROM item WHERE id > 1500");
    connection.commit();
    connection.setAutoCommit(true);
    sql.execute("VACUUM");
    sql.execute("CREATE TABLE tick (id INTEGER PRIMARY KEY, at INTEGER)");
  }

  /** Commits one row at a time, each after the one before has arrived. */
  private Lags timeCommits(Connection connection, String database, EventReader events)
      throws SQLException, IOException, CommandException, InterruptedException {
    Lags lags = new Lags(TIMED_COMMITS);
    Txid txid = position(primary, database).txid();
    try (PreparedStatement insert =
        connection.prepareStatement("INSERT INTO tick (at) VALUES (?)")) {
      for (int i = -WARMUP_COMMITS; i < TIMED_COMMITS; i++) {
        insert.setLong(1, i);
        insert.executeUpdate();
        long committed = System.nanoTime();
        txid = txid.next();
        long lag = Math.max(0, events.await(database, txid, LIMIT) - committed);
        if (i >= 0) {
          lags.add(lag);
        }
      }
    }
    return lags;
  }

  private void compare(String mode, String database, EventReader events)
      throws SQLException, IOException, CommandException, InterruptedException {
    Pos expected = position(primary, database);
    events.await(database, expected.txid(), LIMIT);
    expect(mode, "position of the replica", expected, position(replica, database));

    DatabaseImage source = export(primary, database);
    DatabaseImage copy = export(replica, database);
    expect(mode, "position of the exported primary", expected, source.pos());
    expect(mode, "position of the exported replica", expected, copy.pos());
    expect(mode, "bytes of the replica", true, Arrays.equals(source.bytes(), copy.bytes()));
    expect(mode, "checksum of the bytes", expected.checksum(), copy.checksum());
    expect(mode, "rows on the replica", rows(primary, database), rows(replica, database));
    expect(
        mode,
        "integrity check on the replica",
        "ok",
        single(replica, database, "PRAGMA integrity_check"));
    out.printf(
        Locale.ROOT,
        "ok    journal_mode=%-6s  %s: %d bytes, position %s, identical on both nodes%n",
        mode,
        database,
        source.bytes().length,
        expected);
  }

  private void expect(String mode, String what, Object expected, Object actual) {
    if (!expected.equals(actual)) {
      passed = false;
      out.println(
          "WRONG journal_mode=" + mode + "  " + what + ": " + actual + " instead of " + expected);
    }
  }

  private static DatabaseImage export(DemoNode node, String database)
      throws CommandException, InterruptedException {
    DatabaseImage[] image = new DatabaseImage[1];
    new ApiClient(node.url())
        .export(
            database,
            (in, pos, size) -> image[0] = new DatabaseImage(in.readAllBytes(), Pos.parse(pos)));
    return image[0];
  }

  private static Pos position(DemoNode node, String database) throws IOException {
    return Pos.parse(Files.readString(node.mount().resolve(database + "-pos")).strip());
  }

  private static String rows(DemoNode node, String database) throws SQLException {
    return single(
        node,
        database,
        "SELECT (SELECT count(*) || ' ' || sum(length(body)) FROM item) || ' ' || (SELECT count(*) FROM tick)");
  }

  private static String single(DemoNode node, String database, String query) throws SQLException {
    try (Connection connection = open(node, database);
        Statement sql = connection.createStatement();
        ResultSet row = sql.executeQuery(query)) {
      return row.next() ? row.getString(1) : "nothing";
    }
  }

  private static Connection open(DemoNode node, String database) throws SQLException {
    Path file = node.mount().resolve(database);
    return DriverManager.getConnection("jdbc:sqlite:" + file);
  }

  /** Times in nanoseconds. */
  private static final class Lags {
    private final long[] nanos;
    private int count;

    Lags(int capacity) {
      nanos = new long[capacity];
    }

    void add(long lag) {
      nanos[count++] = lag;
    }

    /** In milliseconds; the smallest value that {@code percent} of all do not exceed. */
    double percentile(int percent) {
      long[] sorted = Arrays.copyOf(nanos, count);
      Arrays.sort(sorted);
      return sorted[Math.max(0, (int) Math.ceil(count * percent / 100.0) - 1)] / 1e6;
    }
  }
}

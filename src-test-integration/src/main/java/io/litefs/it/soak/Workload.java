package io.litefs.it.soak;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * What a writer does, decided beforehand by a random seed: a script of steps, one a line.
 *
 * <pre>
 *   O              open the connection, closing the one before
 *   P statement    a statement outside of transactions; its failure is noted and forgotten
 *   B n            transaction n begins
 *   S statement    a statement of it; if it fails, the transaction is rolled back and left
 *   C n            COMMIT
 *   R n            ROLLBACK
 *   X query        whose rows are violations
 * </pre>
 *
 * <p>A writer notes in its own file, outside the mount, each line by one write(2) when it happened:
 *
 * <pre>
 *   B n            about to begin
 *   A n micros     COMMIT returned success (microseconds since the epoch)
 *   R n            ROLLBACK returned success
 *   E n micros message
 *                  the transaction failed (n = 0: a statement outside of transactions)
 *   V row          a violation
 * </pre>
 *
 * <p>Every transaction leaves a row in {@code tx} that says how many rows in {@code data} belong to
 * it, counts itself in {@code total}, and may move an amount within {@code bank}, whose sum never
 * changes: so half a transaction, a lost one and a lost update can each be told.
 */
final class Workload {

  static final List<String> SCHEMA =
      List.of(
          "CREATE TABLE tx(writer INTEGER, n INTEGER, rows INTEGER, PRIMARY KEY(writer, n))",
          "CREATE TABLE data(id INTEGER PRIMARY KEY, writer INTEGER, n INTEGER, i INTEGER, len INTEGER, b BLOB)",
          "CREATE INDEX data_of_tx ON data(writer, n, i)",
          "CREATE TABLE total(n INTEGER)",
          "INSERT INTO total VALUES (0)",
          "CREATE TABLE bank(k INTEGER PRIMARY KEY, v INTEGER, pad BLOB)",
          "INSERT INTO bank(k, v) WITH RECURSIVE c(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM c WHERE k < 50) SELECT k, 100 FROM c");

  /**
   * Prints "ok" lines where all is well, then the transactions that are there, {@code writer:n} a
   * line; anything else is a violation.
   */
  static final String CHECK =
      String.join(
          ";\n",
          "PRAGMA integrity_check",
          "SELECT 'total says ' || n || ' and tx has ' || (SELECT count(*) FROM tx) FROM total WHERE n <> (SELECT count(*) FROM tx)",
          "SELECT 'the bank has ' || sum(v) FROM bank HAVING sum(v) <> 5000",
          "SELECT 'a blob of ' || writer || ':' || n || ' has length ' || length(b) FROM data WHERE length(b) <> len LIMIT 3",
          "SELECT 'half of ' || t.writer || ':' || t.n FROM tx t WHERE t.rows <> (SELECT count(*) FROM data d WHERE d.writer = t.writer AND d.n = t.n) LIMIT 5",
          "SELECT 'rows without ' || writer || ':' || n FROM data d WHERE NOT EXISTS (SELECT 1 FROM tx t WHERE t.writer = d.writer AND t.n = d.n) LIMIT 5",
          "SELECT writer || ':' || n FROM tx ORDER BY writer, n");

  /** Each is one statement, hence one snapshot; its rows are violations. */
  static final List<String> SNAPSHOT_CHECKS =
      List.of(
          "SELECT 'total says ' || n || ' and tx has ' || (SELECT count(*) FROM tx) FROM total WHERE n <> (SELECT count(*) FROM tx)",
          "SELECT 'the bank has ' || sum(v) FROM bank HAVING sum(v) <> 5000",
          "SELECT 'half of ' || t.writer || ':' || t.n FROM tx t WHERE t.rows <> (SELECT count(*) FROM data d WHERE d.writer = t.writer AND d.n = t.n)");

  /** What a script may contain. */
  enum Style {
    /** Everything, in every journal mode with a file. */
    ANY,
    /** No change of the journal mode to or from WAL. */
    ROLLBACK,
    WAL,
    /** {@code journal_mode=MEMORY} with an fsync at the end of each transaction. */
    MEMORY
  }

  private final Random random;
  private final int writer;
  private final Style style;
  private final List<String> script = new ArrayList<>();

  private Workload(Random random, int writer, Style style) {
    this.random = random;
    this.writer = writer;
    this.style = style;
  }

  /**
   * A script.
   *
   * @param writer a number that no other writer has or had
   * @param plain only transactions: for the shell, which ends at the first error
   * @param synchronous OFF, NORMAL, FULL, EXTRA; null for a random one
   */
  static List<String> script(
      Random random, int writer, Style style, int transactions, boolean plain, String synchronous) {
    Workload workload = new Workload(random, writer, style);
    workload.open(synchronous);
    for (int n = 1; n <= transactions; n++) {
      if (!plain && random.nextInt(6) == 0) {
        workload.maintain(synchronous);
      }
      workload.transaction(n);
    }
    return workload.script;
  }

  /**
   * For a writer with SQLite 3.40.1, which Debian 12 has: in WAL mode a transaction that went back
   * to a savepoint after its cache had spilled leaves frames without a checksum. If all connections
   * are killed, the next one finds nothing from there on, on any filesystem.
   */
  static List<String> withoutSavepoints(List<String> script) {
    List<String> kept = new ArrayList<>();
    boolean within = false;
    for (String line : script) {
      within |= line.equals("S SAVEPOINT undone");
      if (!within) {
        kept.add(line);
      }
      within &= !line.equals("S RELEASE undone");
    }
    return kept;
  }

  /** A script that only reads, and in which every snapshot must be one between transactions. */
  static List<String> reader(Random random, int reads) {
    List<String> script = new ArrayList<>(List.of("O"));
    for (int n = 1; n <= reads; n++) {
      script.add("B " + n);
      if (random.nextInt(20) == 0) {
        script.add("O");
      }
      if (random.nextInt(4) == 0) {
        script.add("S BEGIN");
        SNAPSHOT_CHECKS.forEach(query -> script.add("X " + query));
        script.add("C " + n);
      } else {
        script.add("X " + SNAPSHOT_CHECKS.get(random.nextInt(SNAPSHOT_CHECKS.size())));
      }
    }
    return script;
  }

  private String pick(String... choices) {
    return choices[random.nextInt(choices.length)];
  }

  private void pragma(String statement) {
    script.add("P PRAGMA " + statement);
  }

  private void open(String synchronous) {
    script.add("O");
    pragma("synchronous = " + (synchronous == null ? pick("OFF", "NORMAL", "FULL") : synchronous));
    switch (style) {
      case MEMORY -> {
        pragma("synchronous = FULL");
        pragma("journal_mode = MEMORY");
      }
      case WAL -> pragma("journal_mode = WAL");
      case ROLLBACK -> pragma("journal_mode = " + pick("DELETE", "TRUNCATE", "PERSIST"));
      case ANY -> pragma("journal_mode = " + pick("DELETE", "TRUNCATE", "PERSIST", "WAL", "WAL"));
    }
    pragma("cache_size = " + pick("5", "20", "500"));
    pragma("wal_autocheckpoint = " + pick("0", "3", "50", "1000"));
    if (random.nextInt(6) == 0) {
      pragma("journal_size_limit = " + pick("0", "50000"));
    }
    if (random.nextInt(8) == 0) {
      pragma("mmap_size = 10000000");
    }
  }

  private void maintain(String synchronous) {
    switch (random.nextInt(style == Style.MEMORY ? 2 : 8)) {
      case 0, 1 -> open(synchronous);
      case 2, 3 -> pragma("wal_checkpoint(" + pick("PASSIVE", "FULL", "RESTART", "TRUNCATE") + ")");
      case 4 -> script.add("P VACUUM");
      case 5 -> {
        if (style == Style.ANY) {
          pragma("journal_mode = " + pick("DELETE", "TRUNCATE", "PERSIST", "WAL"));
        }
        if (style == Style.ROLLBACK) {
          pragma("journal_mode = " + pick("DELETE", "TRUNCATE", "PERSIST"));
        }
      }
      case 6 -> pragma("incremental_vacuum(" + random.nextInt(50) + ")");
      default -> {
        if (random.nextInt(3) == 0) {
          pragma("page_size = " + pick("1024", "4096", "8192"));
          pragma("auto_vacuum = " + pick("NONE", "FULL", "INCREMENTAL"));
          script.add("P VACUUM");
        }
      }
    }
  }

  private void transaction(int n) {
    script.add("B " + n);
    script.add("S BEGIN IMMEDIATE");
    if (random.nextInt(8) == 0) {
      script.add("S SAVEPOINT undone");
      insert(n, 1 + random.nextInt(60));
      script.add("S UPDATE bank SET v = v + 7, pad = randomblob(300) WHERE k % 3 = 0");
      script.add("S ROLLBACK TO undone");
      script.add("S RELEASE undone");
    }
    int rows = 1 + random.nextInt(4);
    int size = random.nextInt(30);
    if (size == 0) {
      rows = 300 + random.nextInt(700); // spills the cache
    } else if (size < 4) {
      rows = 20 + random.nextInt(80);
    } else if (size == 4) {
      rows = 0;
    }
    script.add("S INSERT INTO tx VALUES (" + writer + ", " + n + ", " + rows + ")");
    if (rows > 0) {
      insert(n, rows);
    }
    script.add("S UPDATE total SET n = n + 1");
    if (random.nextInt(3) == 0) {
      int amount = random.nextInt(20);
      script.add("S UPDATE bank SET v = v - " + amount + " WHERE k = " + (1 + random.nextInt(25)));
      script.add(
          "S UPDATE bank SET v = v + "
              + amount
              + ", pad = randomblob("
              + random.nextInt(4000)
              + ") WHERE k = "
              + (26 + random.nextInt(25)));
    }
    if (random.nextInt(10) == 0) {
      // Rewrites what other transactions inserted, without a trace in their rows.
      script.add(
          "S UPDATE data SET b = randomblob(len) WHERE id % "
              + (1 + random.nextInt(7))
              + " = 0 AND id > (SELECT max(id) FROM data) - 300");
    }
    if (random.nextInt(6) == 0) {
      script.add("R " + n);
    } else {
      script.add("C " + n);
    }
  }

  private void insert(int n, int rows) {
    int length = 1 + random.nextInt(random.nextInt(4) == 0 ? 6000 : 600);
    script.add(
        "S INSERT INTO data(writer, n, i, len, b) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < "
            + rows
            + ") SELECT "
            + writer
            + ", "
            + n
            + ", i, "
            + length
            + ", randomblob("
            + length
            + ") FROM c");
  }
}

package io.litefs.sqlite;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Databases whose writer was killed, and what becomes of them. */
final class Crash {

  private Crash() {}

  /** A database whose writer died in the middle of a transaction; "before" is how it was. */
  static Path in(Path dir, int pageSize, String mode, String synchronous) throws Exception {
    Path database = dir.resolve("crashed");
    int blob = Math.max(300, pageSize / 3);
    try (SqliteShell shell = SqliteShell.open(database)) {
      shell.run(
          "PRAGMA page_size=%d; PRAGMA journal_mode=%s; PRAGMA synchronous=%s;"
                  .formatted(pageSize, mode, synchronous)
              + "CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB);"
              + "INSERT INTO t SELECT value, randomblob(%d) FROM generate_series(1, 150);"
                  .formatted(blob)
              // A longer transaction, whose records stay behind in a persistent journal.
              + "UPDATE t SET b = randomblob(length(b));");
      Files.copy(database, dir.resolve("before"));
      shell.run(
          "PRAGMA cache_size=5; BEGIN; UPDATE t SET b = randomblob(length(b)) WHERE a < 100;"
              + "DELETE FROM t WHERE a BETWEEN 10 AND 30;"
              + "INSERT INTO t SELECT NULL, randomblob(%d) FROM generate_series(1, 90);"
                  .formatted(blob)
              + "UPDATE t SET b = randomblob(20) WHERE a < 60;");
      shell.kill();
    }
    return database;
  }

  static JournalRollback.Result rollback(Path database) throws IOException {
    try (ChannelFile journal = ChannelFile.open(Sqlite.journal(database));
        ChannelFile file = ChannelFile.open(database)) {
      return JournalRollback.rollback(journal, file);
    }
  }
}

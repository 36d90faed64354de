package io.litefs.sqlite;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** SQLite in this process, and the files that belong to a database. */
final class Sqlite {

  private Sqlite() {}

  static Connection open(Path database) throws SQLException {
    return DriverManager.getConnection("jdbc:sqlite:" + database);
  }

  static void run(Connection connection, String... statements) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  /** First column of the first row. */
  static String query(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      return rows.next() ? rows.getString(1) : null;
    }
  }

  /**
   * Begins a transaction and ends it; whatever SQLite thinks of the database, it has recovered it
   * then.
   */
  static void touch(Path database) {
    try (Connection connection = open(database)) {
      query(connection, "SELECT count(*) FROM sqlite_schema");
    } catch (SQLException e) {
      // Many databases of these tests are damaged on purpose; what happened to the files is what
      // counts.
    }
  }

  static Path journal(Path database) {
    return database.resolveSibling(database.getFileName() + "-journal");
  }

  static Path wal(Path database) {
    return database.resolveSibling(database.getFileName() + "-wal");
  }

  static Path shm(Path database) {
    return database.resolveSibling(database.getFileName() + "-shm");
  }

  /**
   * Copies the database and its journal and WAL, but not the shm, as if all its processes had died.
   */
  static Path copy(Path database, String name) throws IOException {
    Path copy = database.resolveSibling(name);
    Files.deleteIfExists(journal(copy));
    Files.deleteIfExists(wal(copy));
    Files.deleteIfExists(shm(copy));
    Files.copy(database, copy, StandardCopyOption.REPLACE_EXISTING);
    copyIfExists(journal(database), journal(copy));
    copyIfExists(wal(database), wal(copy));
    return copy;
  }

  private static void copyIfExists(Path from, Path to) throws IOException {
    if (Files.exists(from)) {
      Files.copy(from, to, StandardCopyOption.REPLACE_EXISTING);
    }
  }
}

package io.litefs.it.soak;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The program of a JDBC {@link Writer}: database, script, notes, stop file, busy timeout, and after
 * how many errors in a row it gives up.
 */
public final class JdbcWriter {

  private static final int MILLIS_AFTER_ERROR = 10;

  private final String url;
  private final int busyMillis;
  private final int giveUpAfterErrors;
  private final FileChannel notes;
  private Connection connection;
  private int errorsInARow;

  private JdbcWriter(String database, FileChannel notes, int busyMillis, int giveUpAfterErrors) {
    this.url = "jdbc:sqlite:" + database;
    this.notes = notes;
    this.busyMillis = busyMillis;
    this.giveUpAfterErrors = giveUpAfterErrors;
  }

  public static void main(String[] arguments) throws IOException, InterruptedException {
    List<String> script = Files.readAllLines(Path.of(arguments[1]));
    Path stop = Path.of(arguments[3]);
    try (FileChannel notes =
        FileChannel.open(
            Path.of(arguments[2]), StandardOpenOption.WRITE, StandardOpenOption.APPEND)) {
      new JdbcWriter(
              arguments[0], notes, Integer.parseInt(arguments[4]), Integer.parseInt(arguments[5]))
          .run(script, stop);
    }
  }

  private void run(List<String> script, Path stop) throws InterruptedException {
    String transaction = null;
    boolean failed = false;
    for (String step : script) {
      String rest = step.substring(Math.min(2, step.length()));
      char kind = step.charAt(0);
      if (kind == 'B') {
        if (Files.exists(stop) || errorsInARow >= giveUpAfterErrors) {
          break;
        }
        transaction = rest;
        failed = false;
        note("B " + transaction);
        continue;
      }
      if (failed && "SCRX".indexOf(kind) >= 0) {
        continue;
      }
      try {
        switch (kind) {
          case 'O' -> open();
          case 'C' -> {
            execute("COMMIT");
            note("A " + transaction + ' ' + micros());
            errorsInARow = 0;
          }
          case 'R' -> {
            execute("ROLLBACK");
            note("R " + transaction);
            errorsInARow = 0;
          }
          case 'X' -> {
            for (String row : execute(rest)) {
              note("V " + row);
            }
          }
          default -> execute(rest);
        }
      } catch (SQLException e) {
        boolean inTransaction = kind != 'P' && kind != 'O';
        noteError(inTransaction ? transaction : "0", step.split("\\(", 2)[0], e);
        errorsInARow++;
        failed = inTransaction;
        if (inTransaction) {
          rollBack();
        }
        Thread.sleep(MILLIS_AFTER_ERROR);
      }
    }
    try {
      if (connection != null) {
        connection.close();
      }
    } catch (SQLException e) {
      noteError("0", "close", e);
    }
  }

  private void open() throws SQLException {
    if (connection != null) {
      connection.close();
      connection = null;
    }
    connection = DriverManager.getConnection(url);
    execute("PRAGMA busy_timeout = " + busyMillis);
  }

  /** Returns the first column. */
  private List<String> execute(String sql) throws SQLException {
    List<String> values = new ArrayList<>();
    if (connection == null) {
      open();
    }
    try (Statement statement = connection.createStatement()) {
      if (statement.execute(sql)) {
        try (ResultSet rows = statement.getResultSet()) {
          while (rows.next()) {
            values.add(rows.getString(1));
          }
        }
      }
    }
    return values;
  }

  /** A failed COMMIT may have left the transaction open or not: either is fine. */
  private void rollBack() {
    try {
      execute("ROLLBACK");
    } catch (SQLException e) {
      if (!String.valueOf(e.getMessage()).contains("no transaction is active")) {
        noteError("0", "rollback", e);
      }
    }
  }

  private void noteError(String transaction, String what, SQLException e) {
    String message = String.valueOf(e.getMessage()).replace('\n', ' ');
    note("E " + transaction + ' ' + micros() + ' ' + what + ": " + message);
  }

  private void note(String line) {
    try {
      notes.write(ByteBuffer.wrap((line + '\n').getBytes(StandardCharsets.UTF_8)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long micros() {
    java.time.Instant now = java.time.Instant.now();
    return TimeUnit.SECONDS.toMicros(now.getEpochSecond()) + now.getNano() / 1000;
  }
}

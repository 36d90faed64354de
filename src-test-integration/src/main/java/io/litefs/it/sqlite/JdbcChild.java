package io.litefs.it.sqlite;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * The program behind {@link LineSession#jdbc}: a connection of sqlite-jdbc that does as the lines
 * of its input say.
 */
public final class JdbcChild {

  private JdbcChild() {}

  public static void main(String[] arguments) throws IOException, SQLException {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    Connection connection = null;
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String request = LineSession.unescape(line);
      try {
        if (connection == null) {
          connection = DriverManager.getConnection("jdbc:sqlite:" + arguments[0]);
          try (Statement statement = connection.createStatement()) {
            statement.execute("PRAGMA busy_timeout = 30000");
          }
        }
        long nanos =
            request.charAt(0) == 'N'
                ? repeat(connection, request.substring(1))
                : run(connection, request.substring(1), out);
        out.println("K" + nanos);
      } catch (SQLException e) {
        out.println("E" + LineSession.escape(String.valueOf(e.getMessage())));
      }
      out.flush();
    }
    if (connection != null) {
      connection.close();
    }
  }

  private static long run(Connection connection, String sql, PrintStream out) throws SQLException {
    long start = System.nanoTime();
    try (Statement statement = connection.createStatement()) {
      if (statement.execute(sql)) {
        try (ResultSet rows = statement.getResultSet()) {
          int columns = rows.getMetaData().getColumnCount();
          while (rows.next()) {
            StringBuilder row = new StringBuilder();
            for (int i = 1; i <= columns; i++) {
              String value = rows.getString(i);
              row.append(i > 1 ? "|" : "").append(value == null ? "" : value);
            }
            out.println('R' + LineSession.escape(row.toString()));
          }
        }
      }
    }
    return System.nanoTime() - start;
  }

  private static long repeat(Connection connection, String timesAndSql) throws SQLException {
    int space = timesAndSql.indexOf(' ');
    int times = Integer.parseInt(timesAndSql.substring(0, space));
    long start = System.nanoTime();
    try (PreparedStatement statement =
        connection.prepareStatement(timesAndSql.substring(space + 1))) {
      boolean numbered = statement.getParameterMetaData().getParameterCount() == 1;
      for (int i = 0; i < times; i++) {
        if (numbered) {
          statement.setInt(1, i);
        }
        if (statement.execute()) {
          try (ResultSet rows = statement.getResultSet()) {
            while (rows.next()) {
              rows.getObject(1);
            }
          }
        }
      }
    }
    return System.nanoTime() - start;
  }
}

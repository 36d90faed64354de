package io.litefs.daemon;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.Map;

/**
 * An application for {@link Warmup}: commits a row to each database that it is told. A process of
 * its own, since a daemon must not have files of its own mounts open.
 */
final class WarmupWriter implements Closeable {

  private final Process process;
  private final PrintWriter commands;
  private final BufferedReader answers;

  private WarmupWriter(Process process) {
    this.process = process;
    commands =
        new PrintWriter(
            new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8), true);
    answers =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
  }

  static WarmupWriter start() throws IOException {
    return new WarmupWriter(
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                WarmupWriter.class.getName())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start());
  }

  /** Returns once the row is committed. */
  void commit(Path database) throws IOException {
    commands.println(database);
    if (!"ok".equals(answers.readLine())) {
      throw new IOException("cannot write to " + database);
    }
  }

  @Override
  public void close() {
    process.destroy();
  }

  /** Commits a row to the database of each line of the standard input. */
  public static void main(String[] args) throws IOException, SQLException {
    Map<String, Connection> connections = new HashMap<>();
    BufferedReader paths =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String path = paths.readLine(); path != null; path = paths.readLine()) {
      Connection connection = connections.get(path);
      if (connection == null) {
        connection = DriverManager.getConnection("jdbc:sqlite:" + path);
        connections.put(path, connection);
      }
      try (Statement statement = connection.createStatement()) {
        statement.execute("CREATE TABLE IF NOT EXISTS t (x)");
        statement.execute("INSERT INTO t VALUES (1)");
      }
      System.out.println("ok");
    }
  }
}

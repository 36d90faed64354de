package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.fail;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** SQLite in a process of its own: the {@code sqlite3} shell, which can be killed at any point. */
public final class SqliteShell implements AutoCloseable {

  private static final String END = "----end of answer----";

  private final Process process;
  private final Writer in;
  private final BufferedReader out;

  private SqliteShell(Process process) {
    this.process = process;
    this.in = new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8);
    this.out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
  }

  public static SqliteShell open(Path database) {
    try {
      return new SqliteShell(
          new ProcessBuilder("sqlite3", "-batch", database.toString())
              .redirectErrorStream(true)
              .start());
    } catch (IOException e) {
      fail("the sqlite3 shell is not installed: " + e.getMessage());
      throw new UncheckedIOException(e);
    }
  }

  /** Runs statements and returns what they print, errors too, lines separated by newlines. */
  public String run(String sql) throws IOException {
    in.write(sql + "\n.print " + END + "\n");
    in.flush();
    StringBuilder answer = new StringBuilder();
    for (String line = out.readLine(); !END.equals(line); line = out.readLine()) {
      if (line == null) {
        throw new IOException("sqlite3 has ended after: " + answer);
      }
      answer.append(answer.isEmpty() ? "" : "\n").append(line);
    }
    return answer.toString();
  }

  /** SIGKILL: no handler runs, nothing is rolled back. */
  public void kill() throws InterruptedException {
    process.destroyForcibly();
    process.waitFor();
  }

  @Override
  public void close() throws IOException {
    try {
      in.close();
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      process.destroyForcibly();
    }
  }
}

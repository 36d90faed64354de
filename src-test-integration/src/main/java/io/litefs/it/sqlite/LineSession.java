package io.litefs.it.sqlite;

import io.litefs.it.Commands;
import io.litefs.it.Reaper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A child that speaks a line protocol: {@code S<statement>} or {@code N<count> <statement>} (one
 * prepared statement, so many times, with parameter 1 the count so far if it takes one) is answered
 * by lines {@code R<row>} and a last line, {@code K<nanoseconds>} or {@code E<message>}. Backslash,
 * newline and carriage return are escaped with a backslash. The end of the input ends the child.
 */
public final class LineSession implements Session {

  private static Path pythonScript;

  private final Process process;
  private final Writer in;
  private final BufferedReader out;
  private long lastNanos;

  private LineSession(List<String> command) {
    try {
      process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Reaper.process(process.pid());
    in = process.outputWriter(StandardCharsets.UTF_8);
    out = process.inputReader(StandardCharsets.UTF_8);
  }

  static LineSession python(Path database) {
    return new LineSession(
        List.of("python3", "-u", pythonScript().toString(), database.toString()));
  }

  public static LineSession jdbc(Path database) {
    return new LineSession(
        List.of(
            System.getProperty("java.home") + "/bin/java",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xmx128m",
            "-Xshare:auto",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            JdbcChild.class.getName(),
            database.toString()));
  }

  private static synchronized Path pythonScript() {
    if (pythonScript == null) {
      try (InputStream script =
          LineSession.class.getResourceAsStream("/io/litefs/it/sqlite_child.py")) {
        pythonScript = Commands.workDirectory("python").resolve("sqlite_child.py");
        Files.copy(script, pythonScript, StandardCopyOption.REPLACE_EXISTING);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return pythonScript;
  }

  @Override
  public List<String> run(String statement) {
    return ask('S' + statement);
  }

  /**
   * Runs a statement {@code times} times, prepared once, each by itself; returns the nanoseconds
   * that took.
   */
  public long repeat(int times, String statement) {
    ask("N" + times + ' ' + statement);
    return lastNanos;
  }

  private List<String> ask(String request) {
    List<String> rows = new ArrayList<>();
    try {
      in.write(escape(request));
      in.write('\n');
      in.flush();
      while (true) {
        String line = out.readLine();
        if (line == null) {
          throw new SqliteError("the process ended");
        }
        String rest = unescape(line.substring(1));
        switch (line.charAt(0)) {
          case 'R' -> rows.add(rest);
          case 'K' -> {
            lastNanos = Long.parseLong(rest);
            return rows;
          }
          case 'E' -> throw new SqliteError(rest);
          default -> throw new AssertionError("not of the protocol: " + line);
        }
      }
    } catch (IOException e) {
      throw new SqliteError("the process ended: " + e.getMessage());
    }
  }

  static String escape(String text) {
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
  }

  static String unescape(String line) {
    if (line.indexOf('\\') < 0) {
      return line;
    }
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (c == '\\') {
        char next = line.charAt(++i);
        text.append(next == 'n' ? '\n' : next == 'r' ? '\r' : next);
      } else {
        text.append(c);
      }
    }
    return text.toString();
  }

  @Override
  public long pid() {
    return process.pid();
  }

  @Override
  public void kill() {
    process.destroyForcibly();
    ProcessEnd.await(process, 30, TimeUnit.SECONDS);
  }

  @Override
  public void close() {
    try {
      in.close();
    } catch (IOException e) {
      // It has ended already.
    }
    ProcessEnd.await(process, 30, TimeUnit.SECONDS);
  }
}

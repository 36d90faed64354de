package io.litefs.it.sqlite;

import io.litefs.it.Reaper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/** The {@code sqlite3} shell fed through a pipe; dot commands work too. */
final class ShellSession implements Session {

  private static final Pattern ERROR =
      Pattern.compile("(Runtime error|Parse error|Error)( near line \\d+)?: .*|Error: .*");
  private static final String END = "--- end of answer ";

  private final Process process;
  private final Writer in;
  private final BufferedReader out;
  private int statements;

  ShellSession(Path database) {
    try {
      // Into a pipe the shell would buffer its output by the block, and errors would overtake it.
      process =
          new ProcessBuilder("stdbuf", "-oL", "sqlite3", "-batch", database.toString())
              .redirectErrorStream(true)
              .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Reaper.process(process.pid());
    in = process.outputWriter(StandardCharsets.UTF_8);
    out = process.inputReader(StandardCharsets.UTF_8);
    run(".timeout 30000");
  }

  @Override
  public List<String> run(String statement) {
    String end = END + ++statements;
    List<String> rows = new ArrayList<>();
    StringBuilder errors = new StringBuilder();
    try {
      in.write(statement);
      in.write(statement.startsWith(".") ? "\n" : ";\n");
      in.write(".print '" + end + "'\n");
      in.flush();
      while (true) {
        String line = out.readLine();
        if (line == null) {
          throw new SqliteError("the shell ended: " + errors + rows);
        }
        if (line.equals(end)) {
          break;
        }
        if (ERROR.matcher(line).matches() || errors.length() > 0) {
          errors.append(line).append('\n');
        } else {
          rows.add(line);
        }
      }
    } catch (IOException e) {
      throw new SqliteError("the shell ended: " + e.getMessage());
    }
    if (errors.length() > 0) {
      throw new SqliteError(errors.toString().strip());
    }
    return rows;
  }

  @Override
  public long pid() {
    return process.pid();
  }

  @Override
  public void kill() {
    process.destroyForcibly();
    awaitEnd();
  }

  @Override
  public void close() {
    try {
      in.close();
    } catch (IOException e) {
      // It has ended already.
    }
    awaitEnd();
  }

  private void awaitEnd() {
    ProcessEnd.await(process, 30, TimeUnit.SECONDS);
  }
}

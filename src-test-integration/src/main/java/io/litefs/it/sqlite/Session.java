package io.litefs.it.sqlite;

import java.util.List;

/**
 * One connection in a process of its own. Statements run one after the other; a transaction stays
 * open between calls.
 */
public interface Session extends AutoCloseable {

  /**
   * Runs one statement. Rows come back as columns joined by {@code |}, NULL as the empty string.
   *
   * @throws SqliteError with SQLite's message
   */
  List<String> run(String statement);

  /** Runs statements one by one. */
  default void runAll(String... statements) {
    for (String statement : statements) {
      run(statement);
    }
  }

  /** The only value of the only row. */
  default String value(String statement) {
    List<String> rows = run(statement);
    if (rows.size() != 1) {
      throw new AssertionError(statement + ": " + rows);
    }
    return rows.get(0);
  }

  long pid();

  /** SIGKILL to the process that holds the connection. */
  void kill();

  /** Ends the process in its ordinary way, which closes the connection. */
  @Override
  void close();
}

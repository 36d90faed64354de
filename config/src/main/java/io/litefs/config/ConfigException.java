package io.litefs.config;

import java.util.List;

/**
 * A configuration that cannot be used. The message has one line per problem, in the order of the
 * file: {@code file:line: key: what is wrong; what is allowed}.
 */
public final class ConfigException extends Exception {
  private static final long serialVersionUID = 1L;

  private final List<String> problems;

  ConfigException(List<String> problems) {
    super(String.join("\n", problems));
    this.problems = List.copyOf(problems);
  }

  ConfigException(String problem, Throwable cause) {
    super(problem, cause);
    this.problems = List.of(problem);
  }

  /** The problems, at least one, each on one line. */
  public List<String> problems() {
    return problems;
  }
}

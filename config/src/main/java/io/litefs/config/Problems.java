package io.litefs.config;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.yaml.snakeyaml.nodes.Node;

/** Collects what is wrong with one file, so that the user learns all of it at once. */
final class Problems {
  private record Problem(int line, String text) {}

  private final String file;
  private final List<Problem> found = new ArrayList<>();
  private List<Integer> sourceLines = List.of();

  Problems(String file) {
    this.file = file;
  }

  /** From here on, lines are those of an expanded text, whose lines came from these. */
  void setSourceLines(List<Integer> sourceLines) {
    this.sourceLines = sourceLines;
  }

  void add(Node where, String key, String text) {
    add(where == null ? 0 : where.getStartMark().getLine(), key, text);
  }

  /** {@code parsedLine} counts from 0 in the expanded text. */
  void add(int parsedLine, String key, String text) {
    boolean known = parsedLine < sourceLines.size();
    addAtLine(known ? sourceLines.get(parsedLine) : parsedLine + 1, key, text);
  }

  /** {@code line} counts from 1 in the file. */
  void addAtLine(int line, String key, String text) {
    found.add(
        new Problem(line, file + ":" + line + ": " + (key.isEmpty() ? "" : key + ": ") + text));
  }

  void throwIfAny() throws ConfigException {
    if (!found.isEmpty()) {
      throw new ConfigException(
          found.stream()
              .sorted(Comparator.comparingInt(Problem::line))
              .map(Problem::text)
              .toList());
    }
  }
}

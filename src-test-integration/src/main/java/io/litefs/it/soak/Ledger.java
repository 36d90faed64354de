package io.litefs.it.soak;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Which transactions must be in one database, and which may be, by what its writers were told. A
 * transaction is named {@code writer:n}.
 */
final class Ledger {

  /**
   * What SQLite refused.
   *
   * @param transaction n = 0: none
   * @param micros when; 0 if the writer knows no time
   */
  record Failure(String transaction, long micros, String message) {
    @Override
    public String toString() {
      return transaction + (micros == 0 ? " " : " at " + micros + ' ') + message;
    }
  }

  /**
   * What one writer noted; see {@link Workload}.
   *
   * @param acknowledgedMicros when each was acknowledged, in their order; 0 if the writer knows no
   *     time
   */
  record Notes(
      Map<String, Long> acknowledgedMicros,
      Set<String> uncertain,
      List<Failure> errors,
      List<String> violations) {

    Set<String> acknowledged() {
      return acknowledgedMicros.keySet();
    }

    static Notes read(int writer, Path file) {
      Map<String, Long> acknowledged = new LinkedHashMap<>();
      Set<String> uncertain = new LinkedHashSet<>();
      List<Failure> errors = new ArrayList<>();
      List<String> violations = new ArrayList<>();
      String current = null;
      for (String line : lines(file)) {
        String[] words = line.split(" ", 3);
        switch (words[0]) {
          case "B" -> {
            current = writer + ":" + words[1];
            uncertain.add(current);
          }
          case "A" -> {
            acknowledged.put(
                writer + ":" + words[1], words.length > 2 ? Long.parseLong(words[2]) : 0);
            uncertain.remove(writer + ":" + words[1]);
          }
          case "R" -> uncertain.remove(writer + ":" + words[1]);
          case "V" -> violations.add(line);
          case "E" -> {
            String[] rest = words[2].split(" ", 2);
            errors.add(new Failure(writer + ":" + words[1], Long.parseLong(rest[0]), rest[1]));
          }
          default -> {
            // The shell prints results of pragmas, and its errors.
            if (line.contains("rror") || line.contains("unable to open")) {
              errors.add(new Failure(current, 0, line));
            }
          }
        }
      }
      return new Notes(acknowledged, uncertain, errors, violations);
    }

    /** Whole lines: the last one may lack its end if the writer was killed. */
    private static List<String> lines(Path file) {
      try {
        if (!Files.exists(file)) {
          return List.of();
        }
        String text = Files.readString(file);
        return text.substring(0, text.lastIndexOf('\n') + 1).lines().toList();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private final Set<String> expected = new TreeSet<>();
  private final Set<String> uncertain = new TreeSet<>();

  void add(Notes notes) {
    expected.addAll(notes.acknowledged());
    uncertain.addAll(notes.uncertain());
  }

  int size() {
    return expected.size();
  }

  /** The database was dropped, or emptied by an acknowledged transaction. */
  void clear() {
    expected.clear();
    uncertain.clear();
  }

  /**
   * Compares with the transactions that are there. What was uncertain is decided by that once and
   * for all.
   *
   * @return what is wrong, one sentence each
   */
  List<String> settle(Collection<String> present) {
    List<String> wrong = new ArrayList<>();
    Set<String> missing = new TreeSet<>(expected);
    missing.removeAll(present);
    if (!missing.isEmpty()) {
      wrong.add("acknowledged and not there: " + missing);
    }
    Set<String> unknown = new TreeSet<>(present);
    unknown.removeAll(expected);
    unknown.removeAll(uncertain);
    if (!unknown.isEmpty()) {
      wrong.add("there, but rolled back or gone before: " + unknown);
    }
    expected.clear();
    expected.addAll(present);
    uncertain.clear();
    return wrong;
  }
}

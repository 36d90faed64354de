package io.litefs.config;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;

/** Finds the key that a misspelt one was meant to be. */
final class Similar {
  private static final int MAX_EDITS = 2;

  private Similar() {}

  static Optional<String> to(String typed, Collection<String> keys) {
    String wanted = plain(typed);
    String best = null;
    int bestEdits = MAX_EDITS + 1;
    for (String key : keys) {
      int edits = edits(wanted, plain(key));
      if (edits < bestEdits && 2 * edits < key.length()) {
        best = key;
        bestEdits = edits;
      }
    }
    return Optional.ofNullable(best);
  }

  /** Lets {@code maxLag}, {@code max_lag} and {@code max-lag} be the same. */
  private static String plain(String key) {
    return key.replace("-", "").replace("_", "").toLowerCase(Locale.ROOT);
  }

  /** Levenshtein distance, in one row. */
  private static int edits(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(substituted, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }
}

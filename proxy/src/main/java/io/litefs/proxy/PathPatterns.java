package io.litefs.proxy;

import java.util.List;

/** A list of paths in which {@code *} stands for any characters, slashes and none included. */
final class PathPatterns {

  private final List<String[]> patterns;

  PathPatterns(List<String> patterns) {
    // With -1, a star at the end leaves an empty last part.
    this.patterns = patterns.stream().map(pattern -> pattern.split("\\*", -1)).toList();
  }

  boolean matches(String path) {
    for (String[] parts : patterns) {
      if (matches(parts, path)) {
        return true;
      }
    }
    return false;
  }

  /**
   * The first part must begin the path and the last end it; those between may be anywhere, in this
   * order. Taking each as early as possible never rules out a match, so this is linear.
   */
  private static boolean matches(String[] parts, String path) {
    String first = parts[0];
    if (parts.length == 1) {
      return path.equals(first);
    }
    String last = parts[parts.length - 1];
    if (!path.startsWith(first)
        || !path.endsWith(last)
        || path.length() < first.length() + last.length()) {
      return false;
    }
    int from = first.length();
    int end = path.length() - last.length();
    for (int i = 1; i < parts.length - 1; i++) {
      int found = path.indexOf(parts[i], from);
      if (found < 0 || found + parts[i].length() > end) {
        return false;
      }
      from = found + parts[i].length();
    }
    return true;
  }
}

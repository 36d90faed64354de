package io.litefs.daemon.doctor;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A version of SQLite, for comparison. */
record SqliteVersion(int major, int minor, int patch) implements Comparable<SqliteVersion> {

  private static final Pattern TEXT = Pattern.compile("\\b(3)\\.(\\d{1,3})\\.(\\d{1,3})");

  /** The first and the last version that can lose a commit when a WAL begins anew. */
  private static final SqliteVersion WAL_BUG_FIRST = new SqliteVersion(3, 7, 0);

  private static final SqliteVersion WAL_BUG_LAST = new SqliteVersion(3, 51, 2);

  /** The first version in a text. */
  static Optional<SqliteVersion> find(String text) {
    Matcher matcher = TEXT.matcher(text);
    return matcher.find()
        ? Optional.of(
            new SqliteVersion(
                Integer.parseInt(matcher.group(1)),
                Integer.parseInt(matcher.group(2)),
                Integer.parseInt(matcher.group(3))))
        : Optional.empty();
  }

  boolean hasWalBug() {
    return compareTo(WAL_BUG_FIRST) >= 0 && compareTo(WAL_BUG_LAST) <= 0;
  }

  @Override
  public int compareTo(SqliteVersion other) {
    int order = Integer.compare(major, other.major);
    if (order == 0) {
      order = Integer.compare(minor, other.minor);
    }
    return order == 0 ? Integer.compare(patch, other.patch) : order;
  }

  @Override
  public String toString() {
    return major + "." + minor + "." + patch;
  }
}

package io.litefs.mount;

import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A name in the mount, taken apart.
 *
 * <p>A suffix makes a companion file only of a database that exists: {@code notes-wal} is the WAL
 * of {@code notes} if there is such a database, and a database of that name otherwise.
 *
 * @param database the database that the file belongs to; the whole name for {@link Kind#DATABASE},
 *     empty for files of the mount itself
 */
public record FileName(String name, Kind kind, String database) {

  /** What kind of file it is. */
  public enum Kind {
    DATABASE(""),
    JOURNAL("-journal"),
    WAL("-wal"),
    SHM("-shm"),
    POSITION("-pos"),
    LOCK("-lock"),
    /** SQLite's journal of a transaction over several databases. */
    SUPER_JOURNAL(null),
    PRIMARY(null),
    LAG(null);

    private final String suffix;

    Kind(String suffix) {
      this.suffix = suffix;
    }
  }

  static final String PRIMARY_NAME = ".primary";
  static final String LAG_NAME = ".lag";

  private static final Pattern SUPER_JOURNAL = Pattern.compile("(.+)-mj[0-9A-F]{9}");

  /**
   * @param exists whether a database of this name exists
   */
  public static FileName parse(String name, Predicate<String> exists) {
    if (name.equals(PRIMARY_NAME)) {
      return new FileName(name, Kind.PRIMARY, "");
    }
    if (name.equals(LAG_NAME)) {
      return new FileName(name, Kind.LAG, "");
    }
    if (!exists.test(name)) {
      Optional<FileName> companion = parseCompanion(name, exists);
      if (companion.isPresent()) {
        return companion.get();
      }
    }
    return new FileName(name, Kind.DATABASE, name);
  }

  private static Optional<FileName> parseCompanion(String name, Predicate<String> exists) {
    for (Kind kind : Kind.values()) {
      String suffix = kind.suffix;
      if (suffix != null && !suffix.isEmpty() && name.endsWith(suffix)) {
        String database = name.substring(0, name.length() - suffix.length());
        if (exists.test(database)) {
          return Optional.of(new FileName(name, kind, database));
        }
      }
    }
    Matcher superJournal = SUPER_JOURNAL.matcher(name);
    if (superJournal.matches() && exists.test(superJournal.group(1))) {
      return Optional.of(new FileName(name, Kind.SUPER_JOURNAL, superJournal.group(1)));
    }
    return Optional.empty();
  }
}

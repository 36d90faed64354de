package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.Pos;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Databases that could not be recovered, each moved whole to {@code quarantine/<name>-<ms since the
 * epoch>/} with a README that says why.
 *
 * <p>As long as there is no other database of that name, the name is taken: an application that
 * opens it gets EIO, since an empty database in its place would look like the loss of everything.
 * What frees the name is an import, a snapshot from the primary, or the removal of the directory.
 *
 * <p>Thread-safe.
 */
public final class Quarantine {

  private static final Logger log = LoggerFactory.getLogger(Quarantine.class);
  private static final Pattern NAME = Pattern.compile("(.+)-([0-9]{13,16})");
  private static final String NAME_OF_DIRECTORY = "quarantine";
  private static final String DATABASES = "dbs";
  private static final String README = "README";
  private static final String REASON = "Reason: ";
  private static final long REPORT_NANOS = TimeUnit.MINUTES.toNanos(1);

  /**
   * A database in quarantine.
   *
   * @param reason why it could not be recovered, one line
   * @param path the directory with all of its files
   * @param replaced whether there is another database of that name again
   * @param inPlace whether it was not moved, since nothing is known to be wrong with it: the disk
   *     was full, say
   */
  public record Entry(
      String database,
      Instant since,
      String reason,
      Path path,
      boolean replaced,
      boolean inPlace) {}

  private final Path dir;
  private final Path databases;
  private final Map<String, Path> newest = new ConcurrentHashMap<>();
  private final Map<String, Entry> inPlace = new ConcurrentHashMap<>();
  private final Map<String, Long> reported = new ConcurrentHashMap<>();

  Quarantine(Path dataDir) throws IOException {
    dir = dataDir.resolve(NAME_OF_DIRECTORY);
    databases = dataDir.resolve(DATABASES);
    for (Entry entry : list()) {
      newest.put(entry.database(), entry.path());
      if (!entry.replaced()) {
        log.warn("{}", message(entry));
      }
    }
  }

  /** Everything in quarantine, the oldest first. */
  public List<Entry> list() throws IOException {
    return list(dir.getParent());
  }

  /**
   * Everything in a data directory's quarantine, the oldest first, whether a daemon runs or not.
   */
  public static List<Entry> list(Path dataDir) throws IOException {
    Path dir = dataDir.resolve(NAME_OF_DIRECTORY);
    List<Entry> entries = new ArrayList<>();
    if (!Files.isDirectory(dir)) {
      return entries;
    }
    try (DirectoryStream<Path> all = Files.newDirectoryStream(dir, Files::isDirectory)) {
      for (Path path : all) {
        entry(dataDir, path).ifPresent(entries::add);
      }
    }
    entries.sort(Comparator.comparing(Entry::since));
    return entries;
  }

  private static Optional<Entry> entry(Path dataDir, Path path) {
    Matcher matcher = NAME.matcher(path.getFileName().toString());
    if (!matcher.matches()) {
      return Optional.empty();
    }
    String database = matcher.group(1);
    return Optional.of(
        new Entry(
            database,
            Instant.ofEpochMilli(Long.parseLong(matcher.group(2))),
            reason(path),
            path,
            Files.exists(dataDir.resolve(DATABASES).resolve(database)),
            false));
  }

  private static String reason(Path path) {
    try {
      for (String line : Files.readAllLines(path.resolve(README))) {
        if (line.startsWith(REASON)) {
          return line.substring(REASON.length());
        }
      }
    } catch (IOException e) {
      log.debug("no reason in {}", path, e);
    }
    return "it could not be recovered at a start; the log of that time says why";
  }

  /**
   * A database that could not be opened for a reason outside of it stays where it is, and unusable
   * until it could be opened.
   */
  void leave(Path database, String reason) {
    String name = database.getFileName().toString();
    Entry entry = new Entry(name, Instant.now(), reason, database, false, true);
    inPlace.put(name, entry);
    log.error("{}", message(entry));
  }

  /** Whether a database of this name lies in its place, unopened. */
  boolean isInPlace(String database) {
    return inPlace.containsKey(database);
  }

  /** The names of those that are {@link #leave left}. */
  Set<String> leftInPlace() {
    return Set.copyOf(inPlace.keySet());
  }

  /** One that was left could be opened. */
  void returned(String database) {
    inPlace.remove(database);
  }

  /** Moves a database's directory out of the way, whole; it must be closed. */
  void take(Path database, String reason) throws IOException {
    String name = database.getFileName().toString();
    long millis = System.currentTimeMillis();
    Path target = dir.resolve(name + "-" + millis);
    while (Files.exists(target)) {
      target = dir.resolve(name + "-" + ++millis);
    }
    Files.createDirectories(dir);
    String line = String.valueOf(reason).lines().findFirst().orElse("");
    Entry entry = new Entry(name, Instant.ofEpochMilli(millis), line, target, false, false);
    try {
      DurableFiles.write(database.resolve(README), readme(entry));
    } catch (IOException e) {
      // On a full disk, say; that the database is out of the way matters more.
      log.warn("cannot write {}: {}", database.resolve(README), e.getMessage());
    }
    Files.move(database, target);
    PosixFile.syncDirectory(dir);
    PosixFile.syncDirectory(databases);
    newest.put(name, target);
    log.error("{}", message(entry));
  }

  /** The entry that keeps a name from being used; empty if none does. */
  public Optional<Entry> blocking(String database) {
    Entry left = inPlace.get(database);
    if (left != null) {
      return Optional.of(left);
    }
    Path path = newest.get(database);
    return path == null || !Files.isDirectory(path)
        ? Optional.empty()
        : entry(dir.getParent(), path).filter(entry -> !entry.replaced());
  }

  /** All databases that cannot be used. */
  public List<Entry> blocking() {
    return Stream.concat(newest.keySet().stream(), inPlace.keySet().stream())
        .distinct()
        .sorted()
        .map(this::blocking)
        .flatMap(Optional::stream)
        .toList();
  }

  /**
   * Refuses a name that belongs to a database in quarantine, with a line in the log once a minute.
   *
   * @throws ErrnoException EIO
   */
  void requireNone(String database) throws ErrnoException {
    Optional<Entry> entry = blocking(database);
    if (entry.isEmpty()) {
      return;
    }
    String message = message(entry.get());
    long now = System.nanoTime();
    Long last = reported.get(database);
    if (last == null || now - last > REPORT_NANOS) {
      reported.put(database, now);
      log.error("an application gets EIO: {}", message);
    }
    throw new ErrnoException(Errno.EIO, message);
  }

  /**
   * Where the history of a database in quarantine ends, as far as its log can be read: one that
   * replaces it goes on counting there, so that replicas that have all of it follow.
   */
  Pos end(String database) {
    Optional<Entry> entry = blocking(database);
    if (entry.isEmpty()) {
      return Pos.ZERO;
    }
    Path last = null;
    LtxFileName lastName = null;
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(entry.get().path().resolve("ltx"))) {
      for (Path file : files) {
        Optional<LtxFileName> name = LtxFileName.parse(file.getFileName().toString());
        if (name.isPresent()
            && (lastName == null || name.get().max().compareTo(lastName.max()) > 0)) {
          last = file;
          lastName = name.get();
        }
      }
      return last == null ? Pos.ZERO : LtxLog.posAfter(last);
    } catch (IOException | RuntimeException e) {
      log.debug("the log of {} cannot be read", entry.get().path(), e);
      // No checksum is right: replicas get a snapshot.
      return lastName == null ? Pos.ZERO : new Pos(lastName.max(), Checksum.EMPTY_DATABASE);
    }
  }

  /** What is wrong, where the files are, and what to do, in one line. */
  public static String message(Entry entry) {
    if (entry.inPlace()) {
      return "database %s could not be opened and is not served: %s; it is untouched in %s; remove the cause, it is tried again every few seconds"
          .formatted(entry.database(), entry.reason(), entry.path());
    }
    return "database %s could not be recovered and is not served: %s; all of it is kept in %s; a replica fetches it from its primary; 'litefs promote' on a replica that has it makes that one primary, or 'litefs import -name %s FILE' on the primary replaces it"
        .formatted(entry.database(), entry.reason(), entry.path(), entry.database());
  }

  private static String readme(Entry entry) {
    return """
        Database: %s
        Time: %s
        %s%s

        litefs could not bring the files of this database to a state that is known to be right when
        it started, and moved all of them here as they were: the database (database), SQLite's
        journal and WAL if there were any, and the transactions (ltx/).

        On a replica nothing has to be done: it fetches the database from its primary. On the primary
        applications get EIO for this name (SQLite says "unable to open database file") until it is
        replaced. With Consul, 'litefs promote' on a replica that has it is enough: it leads, and this
        node fetches the database from it. Otherwise take a copy:

          from a replica that has it:  litefs export -url http://REPLICA:20202 -name '%s' FILE
          or from a backup: take that file; or from here, what SQLite can still read:
                                       sqlite3 database ".recover" | sqlite3 FILE
          then:                        litefs import -name '%s' FILE

        To begin with an empty database instead, move this directory elsewhere. Once the database
        is back, this directory is of no use to litefs and can be removed.
        """
        .formatted(
            entry.database(),
            entry.since(),
            REASON,
            entry.reason(),
            entry.database().replace("'", "'\\''"),
            entry.database().replace("'", "'\\''"));
  }
}

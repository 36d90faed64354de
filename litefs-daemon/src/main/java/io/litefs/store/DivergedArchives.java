package io.litefs.store;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The archives of a data directory, {@code diverged/<database>/<time>/}. A directory whose name
 * ends in {@code .tmp} is one that is being made, or whose making a crash ended. Stateless;
 * thread-safe.
 */
public final class DivergedArchives {

  private static final Logger log = LoggerFactory.getLogger(DivergedArchives.class);
  static final String UNFINISHED = ".tmp";

  private final Path dir;

  public DivergedArchives(Path dataDir) {
    this.dir = dataDir.resolve("diverged");
  }

  Path of(String database) {
    return dir.resolve(database);
  }

  /** All archives, the oldest first. What is no archive is left out, with a line in the log. */
  public List<DivergedArchive> list() throws IOException {
    List<DivergedArchive> archives = new ArrayList<>();
    for (Path archive : directories()) {
      if (archive.toString().endsWith(UNFINISHED)) {
        continue;
      }
      try {
        archives.add(DivergedArchive.read(archive));
      } catch (IOException e) {
        log.warn("{} is no archive of a diverged database: {}", archive, e.getMessage());
      }
    }
    archives.sort(Comparator.comparing(DivergedArchive::time));
    return archives;
  }

  private List<Path> directories() throws IOException {
    List<Path> found = new ArrayList<>();
    if (!Files.isDirectory(dir)) {
      return found;
    }
    try (DirectoryStream<Path> databases = Files.newDirectoryStream(dir, Files::isDirectory)) {
      for (Path database : databases) {
        try (DirectoryStream<Path> times = Files.newDirectoryStream(database, Files::isDirectory)) {
          times.forEach(found::add);
        }
      }
    }
    return found;
  }

  /**
   * @throws StoreException if there is no such archive
   */
  public DivergedArchive find(String database, String time) throws IOException {
    for (DivergedArchive archive : list()) {
      if (archive.database().equals(database) && archive.time().equals(time)) {
        return archive;
      }
    }
    throw new StoreException("there is no archive of " + database + " from " + time + " in " + dir);
  }

  /** Removes what a crash left of an archive that was being made. */
  void removeUnfinished() throws IOException {
    for (Path archive : directories()) {
      if (archive.toString().endsWith(UNFINISHED)) {
        DurableFiles.removeTree(archive);
      }
    }
  }

  /** Removes the oldest archives until all take no more than {@code maxBytes}; one always stays. */
  void removeBeyond(long maxBytes, DivergedArchive kept) throws IOException {
    List<DivergedArchive> archives = list();
    long sum = archives.stream().mapToLong(DivergedArchive::bytes).sum();
    for (DivergedArchive archive : archives) {
      if (sum <= maxBytes) {
        return;
      }
      if (!archive.path().equals(kept.path())) {
        log.info(
            "removed the archive {}: all archives together exceed data.diverged-size",
            archive.path());
        // Renamed first: a crash must not leave half an archive that looks like a whole one.
        Path doomed = archive.path().resolveSibling(archive.time() + UNFINISHED);
        Files.move(archive.path(), doomed);
        DurableFiles.removeTree(doomed);
        sum -= archive.bytes();
      }
    }
  }
}

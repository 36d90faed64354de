package io.litefs.store;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What starts have kept of logs that could not use it: directories {@code ltx-aside-<ms>} beside
 * the log, damaged files and those that others' damage made useless. Stateless.
 */
final class AsideLogs {

  private static final Logger log = LoggerFactory.getLogger(AsideLogs.class);

  private static final String PREFIX = "ltx-aside-";

  private AsideLogs() {}

  /** Where in a database's directory files go that are set aside now. */
  static Path now(Path database) {
    return database.resolve(PREFIX + System.currentTimeMillis());
  }

  private record Aside(Path path, long millis, long bytes) {}

  /**
   * Removes the oldest until all take no more than {@code maxBytes}; the newest one of each
   * database stays.
   *
   * @param databases their directories
   */
  static void removeBeyond(long maxBytes, Collection<Path> databases) throws IOException {
    List<Aside> superseded = new ArrayList<>();
    long sum = 0;
    for (Path database : databases) {
      List<Aside> found = of(database);
      for (Aside each : found) {
        sum += each.bytes();
      }
      superseded.addAll(found.subList(0, Math.max(0, found.size() - 1)));
    }
    superseded.sort(Comparator.comparing(Aside::millis));
    for (Aside each : superseded) {
      if (sum <= maxBytes) {
        return;
      }
      DurableFiles.removeTree(each.path());
      log.info(
          "removed {}: what was set aside of all logs together exceeds data.diverged-size",
          each.path());
      sum -= each.bytes();
    }
  }

  /** The oldest first. */
  private static List<Aside> of(Path database) throws IOException {
    List<Aside> found = new ArrayList<>();
    try (DirectoryStream<Path> all = Files.newDirectoryStream(database, PREFIX + "*")) {
      for (Path path : all) {
        String millis = path.getFileName().toString().substring(PREFIX.length());
        if (millis.matches("[0-9]{1,18}") && Files.isDirectory(path)) {
          found.add(new Aside(path, Long.parseLong(millis), DurableFiles.sizeOfTree(path)));
        }
      }
    }
    found.sort(Comparator.comparing(Aside::millis));
    return found;
  }
}

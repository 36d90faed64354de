package io.litefs.store;

import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.LtxTrailer;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a start finds in a log's directory, and leaves there: removes what was being received or
 * restored and what a snapshot has replaced, and sets files at the end aside that are not sound: a
 * crash may have torn them, or the disk lost them. Used once, by one thread.
 *
 * <p>After an orderly stop a last file that is large and the one that was there then is taken at
 * its word; {@link LtxLog#verifyUnread} reads it later.
 */
final class LogScan {

  private static final Logger log = LoggerFactory.getLogger(LogScan.class);

  /** Files at the end of which some may not have been synced: more than come between two syncs. */
  private static final int MAX_UNSYNCED = 256;

  /** What is read at a start whatever the stop was like: it takes no time. */
  static final long READ_AT_START_BYTES = 1 << 20;

  private final Path dir;

  /** What the last stop left; null if nothing is known of it. */
  private final Base base;

  private final LogNames found = new LogNames();
  private boolean torn;

  /** Null if every file was read that had to be. */
  private Path unread;

  /** Where files go that are of no use to the log; null if there were none. */
  private Path aside;

  private LogScan(Path dir, Base base) {
    this.dir = dir;
    this.base = base;
  }

  /**
   * @param base what the last stop left; null if nothing is known of it
   */
  static LogScan of(Path dir, Base base) throws IOException {
    LogScan scan = new LogScan(dir, base);
    scan.list();
    scan.removeReplaced();
    scan.removeTornEnd();
    return scan;
  }

  /** Every file that is there, also those that do not lead to the {@link #end}. */
  LogNames files() {
    return found;
  }

  /** The file that reaches furthest, which is sound; empty if there is none. */
  Optional<LtxFileName> end() {
    return found.furthest();
  }

  /** Whether files at the end were incomplete. */
  boolean wasTorn() {
    return torn;
  }

  /** The last file, if it was not read; null if it was. */
  Path unread() {
    return unread;
  }

  private void list() throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(dir)) {
      for (Path file : files) {
        Optional<LtxFileName> name = LtxFileName.parse(file.getFileName().toString());
        if (name.isPresent()) {
          found.add(name.get());
        } else if (file.getFileName().toString().endsWith(".tmp")) {
          Files.delete(file);
        }
      }
    }
  }

  /** What a kill or a power cut left of the files that a snapshot replaced. */
  private void removeReplaced() throws IOException {
    if (found.isEmpty()) {
      return;
    }
    LtxFileName snapshot = found.iterator().next(); // Of several the one that reaches furthest.
    if (snapshot.min().value() > 1) {
      return;
    }
    LogNames replaced = new LogNames();
    for (LtxFileName each : found) {
      if (!each.equals(snapshot) && each.max().compareTo(snapshot.max()) <= 0) {
        replaced.add(each);
      }
    }
    if (replaced.isEmpty() || damageOf(snapshot).isPresent()) {
      return;
    }
    for (LtxFileName each : replaced) {
      log.info("removed {}: the snapshot {} replaces it", path(each), snapshot);
      remove(each);
    }
  }

  private void removeTornEnd() throws IOException {
    Optional<LtxFileName> last = end();
    if (last.isPresent() && isAsItWasLeft(last.get())) {
      unread = path(last.get());
      return;
    }
    for (Optional<LtxFileName> end = end(); end.isPresent(); end = end()) {
      Optional<String> damage = damageOf(end.get());
      if (damage.isEmpty()) {
        break;
      }
      log.warn("the end of the log is torn, or damaged: {}: {}", path(end.get()), damage.get());
      setAside(end.get());
      torn = true;
    }
    if (torn) {
      removeWhatFollowsDamage();
    }
  }

  /**
   * A power cut takes what was not synced in any order: a file may be torn and the next one whole.
   * Since a sync is one of all files, what follows a torn one was promised to nobody.
   */
  private void removeWhatFollowsDamage() throws IOException {
    LtxFileName damaged = null;
    int left = MAX_UNSYNCED;
    for (LtxFileName each : found.descending()) {
      if (left-- == 0) {
        break;
      }
      if (damageOf(each).isPresent()) {
        damaged = each;
      }
    }
    while (damaged != null
        && !found.isEmpty()
        && LogNames.ORDER.compare(found.last(), damaged) >= 0) {
      log.warn("a torn file of the log, or one that follows it: {}", path(found.last()));
      setAside(found.last());
    }
  }

  /**
   * Whether it is the large last file of an orderly stop: it was on disk then, and the start that
   * writes anything takes the note of it back before.
   */
  private boolean isAsItWasLeft(LtxFileName name) throws IOException {
    if (base == null || !base.clean() || base.last() == null) {
      return false;
    }
    long size = Files.size(path(name));
    if (size <= READ_AT_START_BYTES || size != base.last().size()) {
      return false;
    }
    try (FileChannel in = LtxLog.openForReading(path(name))) {
      LtxHeader header = LtxLog.readHeader(in, path(name));
      LtxTrailer trailer = LtxLog.readTrailer(in);
      return name.equals(new LtxFileName(header.minTxid(), header.maxTxid()))
          && base.state()
              .equals(
                  new DatabaseState(
                      new Pos(header.maxTxid(), trailer.postApply()),
                      header.pageSize(),
                      header.commit()))
          && trailer.file().equals(base.last().checksum());
    } catch (LtxException e) {
      return false;
    }
  }

  /** Verifies a file whole; empty if it is sound. */
  private Optional<String> damageOf(LtxFileName name) throws IOException {
    try {
      LtxLog.requireSound(path(name));
      return Optional.empty();
    } catch (LtxException e) {
      return Optional.of(e.getMessage());
    }
  }

  private void setAside(LtxFileName name) throws IOException {
    if (Files.size(path(name)) == 0) {
      remove(name);
      return;
    }
    if (aside == null) {
      aside = AsideLogs.now(dir.getParent());
      Files.createDirectories(aside);
      log.warn("it is kept in {}", aside);
    }
    Files.move(path(name), aside.resolve(name.toString()), StandardCopyOption.REPLACE_EXISTING);
    found.remove(name);
  }

  private void remove(LtxFileName name) throws IOException {
    Files.delete(path(name));
    found.remove(name);
  }

  private Path path(LtxFileName name) {
    return dir.resolve(name.toString());
  }
}

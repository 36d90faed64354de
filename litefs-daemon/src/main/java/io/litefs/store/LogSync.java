package io.litefs.store;

import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gets the files of a log to disk, when that is asked for: few small ones by a copy in a {@link
 * SyncSegment}, others by a sync of each or of the whole filesystem.
 *
 * <p>Thread-safe. Whoever asks while another one syncs waits, and finds its files synced or syncs
 * the rest: many commits share one sync.
 */
final class LogSync {

  private static final Logger log = LoggerFactory.getLogger(LogSync.class);

  private static final int MODE = 0644;

  /**
   * Past this many unsynced files, one syncfs(2) of the filesystem is cheaper than a sync of each.
   */
  private static final int MAX_UNSYNCED_OPEN = 16;

  /**
   * The log's directory, open for as long as the log is: syncfs(2) tells a descriptor of what could
   * not be written back since it was opened (Linux 5.8), so one that is opened for the sync would
   * not hear of what has been lost before.
   */
  private final PosixFile directory;

  private final LogDisk disk;
  private final Object syncLock = new Object();

  /** Guarded by {@link #syncLock}. */
  private final SyncSegment segment;

  /**
   * Whether the segment may hold what the log does not: it must be gone before anything more counts
   * as durable, since a later file of the same name would be restored as the earlier one. Set only
   * together with {@link #unsyncedOverflow}. Guarded by {@link #syncLock}.
   */
  private boolean segmentMustGo;

  /** Guarded by itself. */
  private final ArrayDeque<PosixFile> unsynced = new ArrayDeque<>();

  /** Whether files that are not on the list must be synced. Guarded by {@link #unsynced}. */
  private boolean unsyncedOverflow;

  private LogSync(PosixFile directory, SyncSegment segment, LogDisk disk) {
    this.directory = directory;
    this.segment = segment;
    this.disk = disk;
  }

  /**
   * Restores the files that a power cut took from the log and that the segment holds.
   *
   * @param dir the directory of the LTX files; the segment lies beside it
   */
  static LogSync open(Path dir, Executor background, LogDisk disk) throws IOException {
    Path segment = dir.resolveSibling("segment");
    restore(dir, segment);
    PosixFile directory = PosixFile.open(dir, PosixFile.O_RDONLY, 0);
    return new LogSync(directory, new SyncSegment(segment, dir, background, disk), disk);
  }

  /** Writes the files that the segment holds and that are not on disk as they were. */
  private static void restore(Path dir, Path segment) throws IOException {
    List<SyncSegment.Saved> saved = SyncSegment.read(segment);
    long oldest = saved.isEmpty() ? 0 : oldest(dir);
    for (SyncSegment.Saved each : saved) {
      LtxHeader header = LtxHeader.decode(each.content().duplicate(), segment.toString());
      Path file = dir.resolve(new LtxFileName(header.minTxid(), header.maxTxid()).toString());
      // What is older than the whole log was removed from it on purpose.
      if (header.maxTxid().value() >= oldest && !holds(file, each.content())) {
        log.info("restored {} from {}", file, segment);
        Path temporary = dir.resolve("restored.tmp");
        try (PosixFile out =
            PosixFile.open(
                temporary, PosixFile.O_RDWR | PosixFile.O_CREAT | PosixFile.O_TRUNC, MODE)) {
          out.pwrite(each.content().duplicate(), 0);
          out.fdatasync();
        }
        Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
      }
    }
    if (Files.exists(segment)) {
      try (PosixFile file = PosixFile.open(segment, PosixFile.O_RDONLY, 0)) {
        file.syncfs();
      }
      Files.delete(segment);
      PosixFile.syncDirectory(segment.getParent());
    }
  }

  /** The smallest TXID that a file of the log begins with; 0 if there is none. */
  private static long oldest(Path dir) throws IOException {
    long oldest = Long.MAX_VALUE;
    try (DirectoryStream<Path> files = Files.newDirectoryStream(dir)) {
      for (Path file : files) {
        Optional<LtxFileName> name = LtxFileName.parse(file.getFileName().toString());
        oldest = Math.min(oldest, name.map(n -> n.min().value()).orElse(Long.MAX_VALUE));
      }
    }
    return oldest == Long.MAX_VALUE ? 0 : oldest;
  }

  private static boolean holds(Path file, ByteBuffer content) throws IOException {
    if (!Files.exists(file) || Files.size(file) != content.remaining()) {
      return false;
    }
    return ByteBuffer.wrap(Files.readAllBytes(file)).equals(content);
  }

  /** A file was appended; it is closed by this when it is on disk. */
  void add(PosixFile file) {
    synchronized (unsynced) {
      if (unsynced.size() < MAX_UNSYNCED_OPEN) {
        unsynced.add(file);
        return;
      }
      unsyncedOverflow = true;
    }
    file.close();
  }

  /** Takes a file from the list of those to be synced; false if it is not on it (any more). */
  boolean forget(PosixFile file) {
    synchronized (unsynced) {
      return unsynced.remove(file);
    }
  }

  /**
   * Makes every transaction that is in the log durable. Any thread.
   *
   * @throws ErrnoException if that failed: nothing that was added and not synced before is durable,
   *     and none of it is in the segment
   */
  void sync() throws ErrnoException {
    synchronized (syncLock) {
      boolean all;
      List<PosixFile> files;
      synchronized (unsynced) {
        all = unsyncedOverflow;
        files = new ArrayList<>(unsynced);
        unsynced.clear();
        unsyncedOverflow = false;
      }
      try {
        if (all) {
          disk.syncFilesystem(directory);
          if (segmentMustGo) {
            segment.discard();
            segmentMustGo = false;
          }
        } else if (!files.isEmpty() && !segment.write(files)) {
          for (PosixFile file : files) {
            disk.datasync(file);
          }
        }
      } catch (ErrnoException | RuntimeException | Error e) {
        // Nobody may take them for durable: the next call syncs all there is. And the disk may have
        // a part of what the segment was to get: of a commit that fails now.
        discardWithNextSync();
        throw e;
      } finally {
        files.forEach(PosixFile::close);
      }
    }
  }

  /** Caller holds {@link #syncLock}. */
  private void discardWithNextSync() {
    segmentMustGo = true;
    synchronized (unsynced) {
      unsyncedOverflow = true;
    }
  }

  boolean areThere() {
    synchronized (unsynced) {
      return unsyncedOverflow || !unsynced.isEmpty();
    }
  }

  /**
   * Puts the files themselves on disk, all that were added, and removes the segment: nothing of
   * them will come back that the log removes after this. If that fails, the next {@link #sync} does
   * it.
   */
  void settle() throws ErrnoException {
    synchronized (syncLock) {
      if (segment.isThere() || areThere()) {
        discardWithNextSync();
        sync();
      }
    }
  }

  /** Of what is not synced by now nothing is promised. */
  void close() {
    synchronized (syncLock) {
      directory.close();
    }
  }
}

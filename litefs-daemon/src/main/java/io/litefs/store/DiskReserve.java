package io.litefs.store;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Disk space that is kept free for what must not fail: the file {@code reserve} of the data
 * directory. It is removed when space is needed to end a transaction that has begun, or to recover,
 * and made again when there is space; meanwhile no transaction begins.
 *
 * <p>Thread-safe.
 */
final class DiskReserve {

  private static final Logger logger = LoggerFactory.getLogger(DiskReserve.class);

  private static final long MAX_BYTES = 8 << 20;

  /** No more than this part of a small disk. */
  private static final long SHARE = 32;

  /** While there is more than this, space is looked at once in a while only. */
  private static final long PLENTY_BYTES = 256 << 20;

  private static final long PLENTY_NANOS = 100_000_000;
  private static final long MARGIN_BYTES = 256 << 10;

  private final Path path;
  private final FileStore disk;

  /** Whether the file is there. */
  private volatile boolean held;

  private boolean reported;
  private volatile long plentyUntil = System.nanoTime();

  DiskReserve(Path dataDir) throws IOException {
    this.path = dataDir.resolve("reserve");
    this.disk = Files.getFileStore(dataDir);
    this.held = Files.exists(path);
  }

  /** Makes the reserve if it is missing and there is space for it and for work besides. */
  synchronized void restore() {
    if (held && !reported) {
      return;
    }
    try {
      long size = Math.min(MAX_BYTES, disk.getTotalSpace() / SHARE);
      if (disk.getUsableSpace() >= 2 * size) {
        if (!held) {
          try (PosixFile file = PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT, 0600)) {
            file.allocate(0, size);
          }
        }
        held = true;
        if (reported) {
          logger.info("the disk of {} has space again", path.getParent());
        }
        reported = false;
      }
    } catch (IOException e) {
      logger.debug("no reserve yet", e);
    }
    if (!held) {
      delete();
      report();
    }
  }

  /** Gives its space to whoever needs it now. */
  synchronized void release() {
    if (held) {
      held = false;
      delete();
      report();
    }
  }

  /** An application has been told that the disk is full. */
  synchronized void report() {
    if (!reported) {
      reported = true;
      logger.error(
          "the disk of {} is full: transactions fail with SQLITE_FULL until there is space",
          path.getParent());
    }
  }

  private void delete() {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      logger.warn("cannot remove {}: {}", path, e.getMessage());
    }
  }

  /**
   * Called before a transaction writes to a database: its end will need about {@code bytes} for its
   * LTX file, and SQLite can still take an error now.
   *
   * @throws ErrnoException ENOSPC
   */
  void require(long bytes) throws ErrnoException {
    if (held && System.nanoTime() - plentyUntil < 0) {
      return;
    }
    if (!held) {
      restore();
    }
    long usable;
    try {
      usable = disk.getUsableSpace();
    } catch (IOException e) {
      return; // The write itself will tell.
    }
    if (!held || usable < bytes + MARGIN_BYTES) {
      report();
      throw new ErrnoException(
          Errno.ENOSPC, "the disk of " + path.getParent() + " is full: " + usable + " bytes left");
    }
    if (usable > PLENTY_BYTES + bytes) {
      plentyUntil = System.nanoTime() + PLENTY_NANOS;
    }
  }
}

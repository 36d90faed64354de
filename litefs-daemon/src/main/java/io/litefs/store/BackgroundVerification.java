package io.litefs.store;

import io.litefs.ltx.PageChecksum;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads every page of a database and compares it with its checksum, slowly: after a start that
 * followed no orderly stop, since recovery reads only what the log has since the base, and when a
 * database turned out to be damaged.
 *
 * <p>Each slice is held still while it is read, so it is small; the database changes between them.
 * A page that differs is looked at again under the database's lock before it counts.
 */
final class BackgroundVerification implements Runnable {

  private static final Logger logger = LoggerFactory.getLogger(BackgroundVerification.class);

  private static final long BYTES_PER_SECOND = 64 << 20;
  private static final int SLICE_BYTES = 4 << 20;
  private static final int NAMED_PAGES = 5;
  private static final int TRIES = 1000;

  private final Database database;
  private final String why;
  private final RateLimit pace = pace();
  private final List<Long> damaged = new ArrayList<>();

  /**
   * @param why in the words of the log
   */
  BackgroundVerification(Database database, String why) {
    this.database = database;
    this.why = why;
  }

  /** How fast is read what only waits for being read. */
  static RateLimit pace() {
    return new RateLimit(BYTES_PER_SECOND);
  }

  /** The pages found so far that are not what they should be. */
  List<Long> damaged() {
    return damaged;
  }

  @Override
  public void run() {
    long started = System.nanoTime();
    try {
      long next = 1;
      while (next != 0) {
        next = verifySlice(next);
      }
      if (damaged.isEmpty()) {
        logger.info(
            "{}: every page has its checksum, {} ({} ms)",
            database.name(),
            why,
            (System.nanoTime() - started) / 1_000_000);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException | RuntimeException e) {
      logger.debug("{}: the verification ends", database.name(), e);
    }
  }

  /** Returns the page that the next slice begins with; 0 after the last one. */
  private long verifySlice(long first) throws IOException, InterruptedException {
    List<Long> suspects = new ArrayList<>();
    long last;
    long pageCount;
    int pageSize;
    try (CommittedPages pages = CommittedPages.pin(database)) {
      pageSize = pages.state().pageSize();
      pageCount = pages.state().pageCount();
      if (pageSize == 0 || first > pageCount) {
        return 0;
      }
      last = Math.min(pageCount, first + SLICE_BYTES / pageSize - 1);
      new PageVerification(
              view(pages),
              this::expected,
              (pgno, expected, actual) -> suspects.add(pgno),
              PageVerification.Pace.NONE)
          .pages(first, last);
    }
    for (long pgno : suspects) {
      if (!isRight(pgno)) {
        report(pgno);
      }
    }
    pace.read((int) (last - first + 1) * pageSize);
    return last == pageCount ? 0 : last + 1;
  }

  private static PageVerification.Pages view(CommittedPages pages) {
    return new PageVerification.Pages() {
      @Override
      public int pageSize() {
        return pages.state().pageSize();
      }

      @Override
      public long pageCount() {
        return pages.state().pageCount();
      }

      @Override
      public ByteBuffer read(long pgno) throws IOException {
        return pages.read(pgno);
      }
    };
  }

  private long expected(long pgno) {
    database.lock.lock();
    try {
      return database.checksums().get(pgno);
    } finally {
      database.lock.unlock();
    }
  }

  /**
   * Transactions in WAL mode go on while a page is held still: then what it should be is not known.
   */
  private boolean isRight(long pgno) throws IOException {
    for (int tries = 0; tries < TRIES; tries++) {
      try (CommittedPages pages = CommittedPages.pin(database)) {
        if (pgno > pages.state().pageCount()
            || PageChecksum.of(pgno, pages.read(pgno)) == expected(pgno)) {
          return true;
        }
        if (pages.state().pos().equals(database.pos())) {
          return false;
        }
      }
    }
    return true; // as far as can be told
  }

  private void report(long pgno) {
    damaged.add(pgno);
    database.metrics().damagedPages.increment();
    if (damaged.size() <= NAMED_PAGES) {
      logger.error(
          "{}: page {} does not have its checksum: the disk has lost or changed it; 'litefs import"
              + " -name {} FILE' with an export of another node replaces the database",
          database.name(),
          pgno,
          database.name());
    }
  }
}

package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Compares a database's pages with the checksums that they must have. Knows nothing of where the
 * pages come from, so that it serves a daemon at work as well as a data directory at rest.
 *
 * <p>Can be done in slices ({@link #pages}), between which the caller may give locks back. Used by
 * one thread at a time.
 */
public final class PageVerification {

  /** The pages of a database as of one position. */
  public interface Pages {
    /** Bytes. */
    int pageSize();

    long pageCount();

    /** The page's content, from position to limit; valid until the next call. */
    ByteBuffer read(long pgno) throws IOException;
  }

  /** What each page should be; 0 if that is not known of a page. */
  @FunctionalInterface
  public interface Expected {
    long checksum(long pgno);
  }

  /** Hears of a page whose checksum is another one than expected. */
  @FunctionalInterface
  public interface Mismatch {
    void found(long pgno, long expected, long actual);
  }

  /** Is told of the bytes that were read, and may take its time: that is the throttle. */
  @FunctionalInterface
  public interface Pace {
    /** As fast as it goes. */
    Pace NONE = bytes -> {};

    /**
     * @throws InterruptedException to end the verification
     */
    void read(int bytes) throws InterruptedException;
  }

  private final Pages pages;
  private final Expected expected;
  private final Mismatch mismatch;
  private final Pace pace;
  private final long lockPage;
  private long sum;

  public PageVerification(Pages pages, Expected expected, Mismatch mismatch, Pace pace) {
    this.pages = pages;
    this.expected = expected;
    this.mismatch = mismatch;
    this.pace = pace;
    this.lockPage = pages.pageSize() == 0 ? 0 : new PageSize(pages.pageSize()).lockPage();
  }

  /** The checksum of all pages of a database, whatever each of them should be. */
  public static Checksum checksumOf(Pages pages, Pace pace)
      throws IOException, InterruptedException {
    PageVerification verification =
        new PageVerification(pages, pgno -> 0, (pgno, expected, actual) -> {}, pace);
    verification.pages(1, pages.pageCount());
    return verification.checksum();
  }

  /** Verifies the pages {@code first} to {@code last}, both included. */
  public void pages(long first, long last) throws IOException, InterruptedException {
    for (long pgno = first; pgno <= last; pgno++) {
      if (pgno == lockPage) {
        continue;
      }
      long actual = PageChecksum.of(pgno, pages.read(pgno));
      sum ^= actual;
      long wanted = expected.checksum(pgno);
      if (wanted != 0 && wanted != actual) {
        mismatch.found(pgno, wanted, actual);
      }
      pace.read(pages.pageSize());
    }
  }

  /** The checksum that the pages verified so far make: the database's, after all of them. */
  public Checksum checksum() {
    return new Checksum(sum | Checksum.FLAG);
  }
}

package io.litefs.ltx;

/**
 * The pages of a file in their order: what may come next, and what the post-apply checksum must be.
 * Encoders and decoders ask the same questions here and differ only in the exception.
 */
final class PageRun {

  private final TransactionHeader header;
  private final long lockPage;
  private long last;
  private long checksums;

  PageRun(TransactionHeader header) {
    this.header = header;
    this.lockPage = PageSize.lockPage(header.pageSize());
  }

  /** Why this page may not come next; null if it may. */
  String refusal(long pgno) {
    if (pgno <= last) {
      return pgno + " after " + last + "; page numbers must ascend";
    }
    if (pgno > header.commit()) {
      return pgno + " is above commit, " + header.commit();
    }
    if (pgno == lockPage) {
      return pgno + " is the lock page";
    }
    if (header.isSnapshot() && pgno != next()) {
      return pgno + " after " + last + " leaves a gap in a snapshot";
    }
    return null;
  }

  /** Takes the page, which has not been refused. */
  void add(long pgno, long checksum) {
    last = pgno;
    checksums ^= checksum;
  }

  /** Why the pages may not end here; null if they may. */
  String incomplete() {
    return header.isSnapshot() && next() <= header.commit()
        ? "the snapshot ends with page " + last + " of " + header.commit()
        : null;
  }

  /** Why this cannot be the checksum of the database afterwards; null if it can. */
  String refusal(Checksum postApply) {
    long expected = Checksum.FLAG | checksums;
    if (!header.hasDatabaseChecksums()) {
      return postApply.value() == 0 ? null : postApply + ", but the flags say that there is none";
    }
    if (postApply.value() >= 0) {
      return postApply + " has bit 63 clear";
    }
    // A dropped database has no pages either, so its checksum is known as that of a snapshot is.
    if ((header.isSnapshot() || header.commit() == 0) && postApply.value() != expected) {
      return postApply + ", but the pages have " + Hex.format(expected);
    }
    return null;
  }

  /** The page after the last in a snapshot. */
  private long next() {
    return last + 1 == lockPage ? last + 2 : last + 1;
  }
}

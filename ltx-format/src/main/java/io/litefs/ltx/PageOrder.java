package io.litefs.ltx;

/** The order of pages in a file. */
final class PageOrder {

  private PageOrder() {}

  /** The page after this one in a snapshot. */
  static long following(long pgno, long lockPage) {
    return pgno + 1 == lockPage ? pgno + 2 : pgno + 1;
  }
}

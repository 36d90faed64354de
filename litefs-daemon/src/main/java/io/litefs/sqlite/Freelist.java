package io.litefs.sqlite;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.LongConsumer;

/**
 * The pages of a database that hold nothing (fileformat2, section 1.5): trunk pages, linked to a
 * list, that name leaf pages. SQLite never reads a leaf's content, and when it uses one again does
 * not journal what was in it.
 *
 * <pre>
 *   database header   32  first trunk page, 0: none
 *                     36  number of free pages
 *   trunk page         0  next trunk page, 0: none
 *                      4  number of leaves L
 *                      8  L page numbers
 * </pre>
 */
public final class Freelist {

  private static final int FIRST_TRUNK = 32;
  private static final int COUNT = 36;
  private static final int TRUNK_HEADER = 8;

  private Freelist() {}

  /**
   * Gives out each leaf page. What is damaged ends the list: no page number beyond the database is
   * given out, and no more pages are than the database has.
   *
   * @param pageCount size of the database in pages
   */
  public static void forEachLeaf(
      ByteSource database, int pageSize, long pageCount, LongConsumer leaves) throws IOException {
    ByteBuffer page = ByteBuffer.allocateDirect(pageSize);
    if (!read(database, page, 1)) {
      return;
    }
    long trunk = unsigned(page, FIRST_TRUNK);
    long left = Math.min(unsigned(page, COUNT), pageCount);
    while (trunk > 1 && trunk <= pageCount && left > 0 && read(database, page, trunk)) {
      left--;
      long count = Math.min(left, unsigned(page, 4));
      for (int i = 0; i < count && TRUNK_HEADER + (i + 1) * Integer.BYTES <= pageSize; i++) {
        long leaf = unsigned(page, TRUNK_HEADER + i * Integer.BYTES);
        if (leaf <= 1 || leaf > pageCount) {
          return;
        }
        left--;
        leaves.accept(leaf);
      }
      trunk = unsigned(page, 0);
    }
  }

  private static boolean read(ByteSource database, ByteBuffer page, long pgno) throws IOException {
    page.clear();
    database.read(page, (pgno - 1) * page.capacity());
    return !page.hasRemaining();
  }

  private static long unsigned(ByteBuffer page, int offset) {
    return Integer.toUnsignedLong(page.getInt(offset));
  }
}

package io.litefs.ltx;

/**
 * The page size of a database.
 *
 * @param bytes a power of two from 512 to 65536
 */
public record PageSize(int bytes) {

  /** The smallest page of SQLite. */
  public static final int MIN = 512;

  /** The largest page of SQLite. */
  public static final int MAX = 65536;

  /** Offset of the bytes that SQLite locks; the page around them is never used. */
  private static final long PENDING_BYTE = 0x40000000L;

  /** Refuses what {@link #isValid} refuses, with an {@link IllegalArgumentException}. */
  public PageSize {
    if (!isValid(bytes)) {
      throw new IllegalArgumentException(
          "page size " + bytes + " is not a power of two from 512 to 65536");
    }
  }

  /** Whether SQLite has pages of this size. */
  public static boolean isValid(int bytes) {
    return bytes >= MIN && bytes <= MAX && Integer.bitCount(bytes) == 1;
  }

  /** Number of the page with SQLite's lock bytes, which is in no checksum and in no LTX file. */
  public long lockPage() {
    return lockPage(bytes);
  }

  static long lockPage(int bytes) {
    return PENDING_BYTE / bytes + 1;
  }

  @Override
  public String toString() {
    return Integer.toString(bytes);
  }
}

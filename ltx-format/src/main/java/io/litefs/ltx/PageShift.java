package io.litefs.ltx;

/**
 * Gives the checksum of a file and that of a page for the price of one.
 *
 * <p>Both run over the page's bytes; only the state they come with differs. A CRC is linear, so
 *
 * <pre>
 *   state after the page = state before * x^(8 * page size) ^ CRC of the page from state 0
 * </pre>
 *
 * and the product with a constant is sixteen look-ups, one for each four bits.
 */
final class PageShift {

  private static final int NIBBLES = 16;

  /** By binary logarithm of the page size. A race computes the same table twice, no more. */
  private static final PageShift[] BY_PAGE_SIZE = new PageShift[17];

  /** Products of every value of every nibble: index {@code nibble * 16 + value}. */
  private final long[] products = new long[NIBBLES * 16];

  private PageShift(int pageSize) {
    // x^64, squared until it has as many bits as the page.
    long constant = Crc64.updateLong(Long.MIN_VALUE, 0);
    for (int bytes = 8; bytes < pageSize; bytes *= 2) {
      constant = Crc64.product(constant, constant);
    }
    long[] bits = new long[64];
    for (int bit = 63; bit >= 0; bit--) {
      bits[bit] = constant;
      constant = Crc64.timesX(constant);
    }
    for (int i = 0; i < products.length; i++) {
      for (int bit = 0; bit < 4; bit++) {
        if ((i >>> bit & 1) != 0) {
          products[i] ^= bits[i / 16 * 4 + bit];
        }
      }
    }
  }

  static PageShift of(int pageSize) {
    int index = Integer.numberOfTrailingZeros(pageSize);
    PageShift shift = BY_PAGE_SIZE[index];
    if (shift == null) {
      shift = new PageShift(pageSize);
      BY_PAGE_SIZE[index] = shift;
    }
    return shift;
  }

  /** The state after a page of which {@code page} is the CRC from state 0. */
  long append(long state, long page) {
    long result = page;
    for (int nibble = 0; nibble < NIBBLES; nibble++) {
      result ^= products[nibble << 4 | (int) (state >>> (nibble << 2)) & 15];
    }
    return result;
  }
}

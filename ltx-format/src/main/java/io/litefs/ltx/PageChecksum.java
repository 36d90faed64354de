package io.litefs.ltx;

import java.nio.ByteBuffer;

/**
 * The checksum of a page: {@code 2^63 | CRC64(page number as u32 big-endian, the page's bytes)}.
 */
public final class PageChecksum {

  private PageChecksum() {}

  /**
   * Computes it.
   *
   * @param pgno page number, 1 to 2^32 - 1
   * @param page the page's bytes from position to limit, heap or direct; neither is moved
   */
  public static long of(long pgno, ByteBuffer page) {
    return ofState(Crc64.update(Crc64.updateInt(Crc64.INITIAL, (int) pgno), page));
  }

  /** From the state of the CRC after page number and page. */
  static long ofState(long state) {
    return Checksum.FLAG | Crc64.value(state);
  }
}

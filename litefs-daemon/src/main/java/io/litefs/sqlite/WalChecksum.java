package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A state of the running checksum of a WAL (walformat, section 4.2), which also protects the
 * wal-index header. The input is a sequence of pairs of 32-bit words, whose byte order the lowest
 * bit of the WAL's magic number tells.
 *
 * @param s1 first word; {@code s1 += x[0] + s2} for each pair
 * @param s2 second word; {@code s2 += x[1] + s1}, with the new s1
 */
public record WalChecksum(int s1, int s2) {

  /** Before any data. */
  public static final WalChecksum ZERO = new WalChecksum(0, 0);

  // As in io.litefs.ltx.Txid.
  @Override
  public boolean equals(Object other) {
    return other instanceof WalChecksum that && s1 == that.s1 && s2 == that.s2;
  }

  @Override
  public int hashCode() {
    return 31 * s1 + s2;
  }

  /**
   * The state after all that remains in {@code data}, heap or direct, whose position, limit and
   * order stay as they are.
   *
   * @param words byte order of the words
   * @throws IllegalArgumentException if the length is not a multiple of 8
   */
  public WalChecksum update(ByteOrder words, ByteBuffer data) {
    return update(words, data, data.position(), data.remaining());
  }

  /** The same for {@code length} bytes from the absolute index {@code from}. */
  public WalChecksum update(ByteOrder words, ByteBuffer data, int from, int length) {
    if (length % 8 != 0) {
      throw new IllegalArgumentException("length " + length + " is not a multiple of 8");
    }
    ByteOrder before = data.order();
    data.order(words);
    try {
      // One read for both words of a pair; the order tells which half is the first word.
      int shift = words == ByteOrder.BIG_ENDIAN ? 32 : 0;
      return data.isDirect()
          ? updateDirect(data, from, from + length, shift)
          : updateHeap(data, from, from + length, shift);
    } finally {
      data.order(before);
    }
  }

  /** The same loop as {@link #updateHeap}, apart, so that each sees one kind of buffer only. */
  private WalChecksum updateDirect(ByteBuffer data, int from, int to, int shift) {
    int a = s1;
    int b = s2;
    for (int i = from; i < to; i += 8) {
      long pair = data.getLong(i);
      a += (int) (pair >>> shift) + b;
      b += (int) (pair >>> (32 - shift)) + a;
    }
    return new WalChecksum(a, b);
  }

  private WalChecksum updateHeap(ByteBuffer data, int from, int to, int shift) {
    int a = s1;
    int b = s2;
    for (int i = from; i < to; i += 8) {
      long pair = data.getLong(i);
      a += (int) (pair >>> shift) + b;
      b += (int) (pair >>> (32 - shift)) + a;
    }
    return new WalChecksum(a, b);
  }

  @Override
  public String toString() {
    return "%08x/%08x".formatted(s1, s2);
  }
}

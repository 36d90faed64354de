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
      // One read for both words of a pair; which half is the first word depends on the order.
      return words == ByteOrder.BIG_ENDIAN
          ? bigEndian(data, from, from + length)
          : littleEndian(data, from, from + length);
    } finally {
      data.order(before);
    }
  }

  private WalChecksum bigEndian(ByteBuffer data, int from, int to) {
    int a = s1;
    int b = s2;
    for (int i = from; i < to; i += 8) {
      long pair = data.getLong(i);
      a += (int) (pair >>> 32) + b;
      b += (int) pair + a;
    }
    return new WalChecksum(a, b);
  }

  private WalChecksum littleEndian(ByteBuffer data, int from, int to) {
    int a = s1;
    int b = s2;
    for (int i = from; i < to; i += 8) {
      long pair = data.getLong(i);
      a += (int) pair + b;
      b += (int) (pair >>> 32) + a;
    }
    return new WalChecksum(a, b);
  }

  @Override
  public String toString() {
    return "%08x/%08x".formatted(s1, s2);
  }
}

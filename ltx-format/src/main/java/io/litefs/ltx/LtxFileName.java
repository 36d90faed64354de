package io.litefs.ltx;

import java.util.Optional;

/**
 * The name of an LTX file: {@code <min TXID>-<max TXID>.ltx}, 16 lower-case hex digits each.
 *
 * @param min first transaction in the file, at least 1
 * @param max last transaction in the file, not below min
 */
public record LtxFileName(Txid min, Txid max) implements Comparable<LtxFileName> {

  private static final String SUFFIX = ".ltx";
  private static final int LENGTH = 16 + 1 + 16 + SUFFIX.length();

  /** Refuses what no LTX file can hold, with an {@link IllegalArgumentException}. */
  public LtxFileName {
    if (min.value() < 1 || max.compareTo(min) < 0) {
      throw new IllegalArgumentException("no LTX file holds TXIDs " + min + " to " + max);
    }
  }

  /** Reads a name; empty if it is not that of an LTX file. */
  public static Optional<LtxFileName> parse(String name) {
    if (name.length() != LENGTH || name.charAt(16) != '-' || !name.endsWith(SUFFIX)) {
      return Optional.empty();
    }
    long min = txid(name, 0);
    long max = txid(name, 17);
    return min < 1 || max < min
        ? Optional.empty()
        : Optional.of(new LtxFileName(new Txid(min), new Txid(max)));
  }

  /**
   * The TXID at a place in a name, -1 if there is none. Upper-case digits are none: two names must
   * not mean the same file. A start reads hundreds of thousands of names, so nothing is allocated.
   */
  private static long txid(String name, int at) {
    long value = 0;
    for (int i = at; i < at + 16; i++) {
      char digit = name.charAt(i);
      int bits;
      if (digit >= '0' && digit <= '9') {
        bits = digit - '0';
      } else if (digit >= 'a' && digit <= 'f') {
        bits = digit - 'a' + 10;
      } else {
        return -1;
      }
      value = value << 4 | bits;
    }
    return value;
  }

  /** By min TXID, then by max TXID: the order in which files are applied. */
  @Override
  public int compareTo(LtxFileName other) {
    int byMin = min.compareTo(other.min);
    return byMin != 0 ? byMin : max.compareTo(other.max);
  }

  @Override
  public String toString() {
    return min + "-" + max + SUFFIX;
  }
}

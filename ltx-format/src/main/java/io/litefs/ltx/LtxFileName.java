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
    try {
      LtxFileName parsed =
          new LtxFileName(Txid.parse(name.substring(0, 16)), Txid.parse(name.substring(17, 33)));
      // Upper-case digits parse as well, but two names must not mean the same file.
      return parsed.toString().equals(name) ? Optional.of(parsed) : Optional.empty();
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
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

package io.litefs.ltx;

/**
 * A checksum of a database, a page or an LTX file. Bit 63 is set in every checksum, so that 0 can
 * stand for "none".
 *
 * <p>The checksum of a database is {@code 2^63 | xor of the checksums of its pages}, the lock page
 * left out, so a commit updates it in time proportional to the pages that changed.
 *
 * @param value any 64 bits
 */
public record Checksum(long value) {

  /** The bit that is set in every checksum. */
  public static final long FLAG = 1L << 63;

  /** No checksum: what a snapshot has as pre-apply checksum. */
  public static final Checksum ZERO = new Checksum(0);

  /** A database without pages: one that was dropped. */
  public static final Checksum EMPTY_DATABASE = new Checksum(FLAG);

  // As in Txid.
  @Override
  public boolean equals(Object other) {
    return other instanceof Checksum that && value == that.value;
  }

  @Override
  public int hashCode() {
    return Long.hashCode(value);
  }

  /**
   * Reads 16 hex digits.
   *
   * @throws IllegalArgumentException if it is anything else
   */
  public static Checksum parse(String text) {
    return new Checksum(Hex.parse(text, "checksum"));
  }

  /** 16 lower-case hex digits. */
  @Override
  public String toString() {
    return Hex.format(value);
  }
}

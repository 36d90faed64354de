package io.litefs.ltx;

import java.util.Objects;

/**
 * A position: the last transaction that was applied to a database and the checksum of the database
 * after it. Two nodes with the same position have the same bytes.
 */
public record Pos(Txid txid, Checksum checksum) {

  /** Where a database begins. */
  public static final Pos ZERO = new Pos(Txid.ZERO, Checksum.ZERO);

  /** Refuses nulls. */
  public Pos {
    Objects.requireNonNull(txid, "txid");
    Objects.requireNonNull(checksum, "checksum");
  }

  // As in Txid.
  @Override
  public boolean equals(Object other) {
    return other instanceof Pos that && txid.equals(that.txid) && checksum.equals(that.checksum);
  }

  @Override
  public int hashCode() {
    return 31 * txid.hashCode() + checksum.hashCode();
  }

  /**
   * Reads the text form, {@code <txid>/<checksum>}, 16 hex digits each.
   *
   * @throws IllegalArgumentException if it is anything else
   */
  public static Pos parse(String text) {
    if (text.length() != 33 || text.charAt(16) != '/') {
      throw new IllegalArgumentException(
          "position must be 16 hex digits, a slash and 16 hex digits");
    }
    return new Pos(Txid.parse(text.substring(0, 16)), Checksum.parse(text.substring(17)));
  }

  /** The text form, 33 characters. */
  @Override
  public String toString() {
    return txid + "/" + checksum;
  }
}

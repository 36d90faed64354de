package io.litefs.ltx;

/**
 * The number of a transaction of one database: the first is 1 and each commit adds 1, for ever; a
 * database that is dropped and created again goes on counting. 0 is the state before the first.
 *
 * @param value 0 to {@link Long#MAX_VALUE}
 */
public record Txid(long value) implements Comparable<Txid> {

  /** The state before the first transaction. */
  public static final Txid ZERO = new Txid(0);

  /** Refuses negative values with an {@link IllegalArgumentException}. */
  public Txid {
    if (value < 0) {
      throw new IllegalArgumentException(
          "TXID " + Hex.format(value) + " is above 7fffffffffffffff");
    }
  }

  // Written out in what is compared on the way of a commit: a record's own is linked at its first
  // use, from some forty method handles, and a writer would wait for that, 20 ms and more.
  @Override
  public boolean equals(Object other) {
    return other instanceof Txid that && value == that.value;
  }

  @Override
  public int hashCode() {
    return Long.hashCode(value);
  }

  /** The transaction after this one. */
  public Txid next() {
    return new Txid(Math.addExact(value, 1));
  }

  /**
   * Reads 16 hex digits.
   *
   * @throws IllegalArgumentException if it is anything else
   */
  public static Txid parse(String text) {
    return new Txid(Hex.parse(text, "TXID"));
  }

  @Override
  public int compareTo(Txid other) {
    return Long.compare(value, other.value);
  }

  /** 16 lower-case hex digits. */
  @Override
  public String toString() {
    return Hex.format(value);
  }
}

package io.litefs.it;

import java.util.Locale;

/**
 * A replication position as the file {@code <db>-pos} shows it. Parsed here on its own, so that the
 * tests trust no code of the daemon.
 */
public record Position(long txid, long checksum) {

  static final int TEXT_LENGTH = 34;

  /** Parses {@code %016x/%016x\n}, strictly. */
  public static Position parse(String text) {
    if (!text.matches("[0-9a-f]{16}/[0-9a-f]{16}\n")) {
      throw new IllegalArgumentException(
          "not a position of 34 bytes: \"" + text.replace("\n", "\\n") + '"');
    }
    return new Position(
        Long.parseUnsignedLong(text.substring(0, 16), 16),
        Long.parseUnsignedLong(text.substring(17, 33), 16));
  }

  @Override
  public String toString() {
    return String.format(Locale.ROOT, "%016x/%016x", txid, checksum);
  }
}

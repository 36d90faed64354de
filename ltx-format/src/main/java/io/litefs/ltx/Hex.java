package io.litefs.ltx;

import java.util.HexFormat;

/** The text form of all 64-bit numbers in LTX: 16 hex digits. */
final class Hex {

  private static final HexFormat DIGITS = HexFormat.of();

  private Hex() {}

  static String format(long value) {
    return DIGITS.toHexDigits(value);
  }

  static long parse(String text, String what) {
    // fromHexDigitsToLong takes shorter strings too, which are not a legal form.
    if (text.length() == 16) {
      try {
        return HexFormat.fromHexDigitsToLong(text);
      } catch (NumberFormatException e) {
        // falls through: NumberFormatException would name the digit but not the thing
      }
    }
    String shown = text.length() > 40 ? text.substring(0, 40) + "..." : text;
    throw new IllegalArgumentException(what + " must be 16 hex digits, not \"" + shown + "\"");
  }
}

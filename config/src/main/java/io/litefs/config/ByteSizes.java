package io.litefs.config;

import java.math.BigDecimal;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Sizes in bytes: {@code 64MB}, {@code 1.5 GiB}, {@code 0}. KB, MB, GB, TB count in thousands, KiB
 * ... TiB in 1024s.
 */
final class ByteSizes {
  private static final Pattern SIZE = Pattern.compile("([0-9]+(?:\\.[0-9]+)?) ?([a-z]*)");

  private ByteSizes() {}

  /**
   * Parses a size.
   *
   * @param plainUnit bytes that a number without a unit counts in
   * @throws IllegalArgumentException with what is wrong
   */
  static long parse(String text, long plainUnit) {
    Matcher size = SIZE.matcher(text.toLowerCase(Locale.ROOT));
    long unit = size.matches() ? bytesPer(size.group(2), plainUnit) : 0;
    if (unit == 0) {
      throw new IllegalArgumentException("'" + text + "' is no size; " + allowed());
    }
    BigDecimal bytes = new BigDecimal(size.group(1)).multiply(BigDecimal.valueOf(unit));
    if (bytes.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) > 0) {
      throw new IllegalArgumentException("'" + text + "' is more than 8 EiB");
    }
    return bytes.longValue();
  }

  static String allowed() {
    return "write for example 500MB or 2GiB (units B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)";
  }

  private static long bytesPer(String unit, long plainUnit) {
    return switch (unit) {
      case "" -> plainUnit;
      case "b" -> 1L;
      case "kb" -> 1_000L;
      case "mb" -> 1_000_000L;
      case "gb" -> 1_000_000_000L;
      case "tb" -> 1_000_000_000_000L;
      case "kib" -> 1L << 10;
      case "mib" -> 1L << 20;
      case "gib" -> 1L << 30;
      case "tib" -> 1L << 40;
      default -> 0;
    };
  }
}

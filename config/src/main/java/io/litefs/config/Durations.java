package io.litefs.config;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Durations as Go writes them: {@code 10m}, {@code 1h30m}, {@code 1.5s}, {@code 500ms}, {@code 0}.
 */
final class Durations {
  private static final Pattern PART =
      Pattern.compile("([0-9]+\\.?[0-9]*|\\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)");
  private static final BigDecimal MAX_NANOS = new BigDecimal(BigInteger.valueOf(Long.MAX_VALUE));

  private Durations() {}

  /**
   * Parses a duration; what is finer than a nanosecond is cut off.
   *
   * @throws IllegalArgumentException with what is wrong
   */
  static Duration parse(String text) {
    boolean negative = text.startsWith("-");
    String rest = negative || text.startsWith("+") ? text.substring(1) : text;
    if (rest.equals("0")) {
      return Duration.ZERO;
    }
    if (rest.matches("[0-9]*\\.?[0-9]+")) {
      throw new IllegalArgumentException("'" + text + "' has no unit; " + allowed());
    }
    BigDecimal nanos = BigDecimal.ZERO;
    Matcher part = PART.matcher(rest);
    int end = 0;
    while (end < rest.length()) {
      if (!part.find(end) || part.start() != end) {
        throw new IllegalArgumentException("'" + text + "' is no duration; " + allowed());
      }
      nanos = nanos.add(new BigDecimal(part.group(1)).multiply(nanosPer(part.group(2))));
      end = part.end();
    }
    if (end == 0) {
      throw new IllegalArgumentException("is empty; " + allowed());
    }
    if (nanos.compareTo(MAX_NANOS) > 0) {
      throw new IllegalArgumentException("'" + text + "' is more than 292 years");
    }
    Duration duration = Duration.ofNanos(nanos.longValue());
    return negative ? duration.negated() : duration;
  }

  static String allowed() {
    return "write for example 10m, 1h30m or 500ms (units ns, us, ms, s, m, h)";
  }

  private static BigDecimal nanosPer(String unit) {
    return BigDecimal.valueOf(
        switch (unit) {
          case "ns" -> 1L;
          case "ms" -> 1_000_000L;
          case "s" -> 1_000_000_000L;
          case "m" -> 60_000_000_000L;
          case "h" -> 3_600_000_000_000L;
          default -> 1_000L;
        });
  }
}

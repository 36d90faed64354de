package io.litefs.daemon.status;

import io.litefs.daemon.client.Progress;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;

/** Numbers for people: two or three digits and a unit. */
final class Units {

  private Units() {}

  static String size(long bytes) {
    return Progress.size(bytes);
  }

  static String millis(long millis) {
    if (millis < 1000) {
      return millis + " ms";
    }
    long seconds = millis / 1000;
    if (seconds < 10) {
      return String.format(Locale.ROOT, "%.1f s", millis / 1e3);
    }
    if (seconds < 120) {
      return seconds + " s";
    }
    if (seconds < 2 * 3600) {
      return seconds / 60 + " min";
    }
    return seconds < 48 * 3600 ? seconds / 3600 + " h" : seconds / 86400 + " days";
  }

  /** How long ago something was. */
  static String age(Instant now, Instant then) {
    long seconds = Duration.between(then, now).toSeconds();
    if (seconds < 1) {
      return "now";
    }
    return (seconds < 10 ? seconds + " s" : millis(seconds * 1000)) + " ago";
  }

  static String rate(double value) {
    return String.format(Locale.ROOT, value < 10 && value > 0 ? "%.1f" : "%.0f", value);
  }

  static String count(long count, String what) {
    return count + " " + what + (count == 1 ? "" : "s");
  }
}

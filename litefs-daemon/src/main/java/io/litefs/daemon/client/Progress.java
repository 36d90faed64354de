package io.litefs.daemon.client;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.Locale;
import java.util.function.LongSupplier;

/**
 * A line on the terminal that tells how far a transfer is: bytes, rate, time left. Used by one
 * thread. Does nothing if there is no terminal.
 */
public final class Progress implements AutoCloseable {

  private static final long INTERVAL_NANOS = 200_000_000L;

  private final PrintStream terminal;
  private final String what;
  private final long total;
  private final LongSupplier nanoTime;
  private final long started;
  private long bytes;
  private long lastShown;
  private boolean shown;

  /**
   * @param terminal null: show nothing
   * @param what for example {@code importing app.db}
   * @param total bytes to come; -1 if unknown
   */
  Progress(PrintStream terminal, String what, long total, LongSupplier nanoTime) {
    this.terminal = terminal;
    this.what = what;
    this.total = total;
    this.nanoTime = nanoTime;
    this.started = nanoTime.getAsLong();
    this.lastShown = started;
  }

  public static Progress onTerminal(PrintStream err, String what, long total) {
    return new Progress(Terminal.isError() ? err : null, what, total, System::nanoTime);
  }

  public void advance(long by) {
    bytes += by;
    long now = nanoTime.getAsLong();
    if (terminal != null && now - lastShown >= INTERVAL_NANOS) {
      lastShown = now;
      shown = true;
      terminal.print("\r" + line(now) + "\033[K");
      terminal.flush();
    }
  }

  private String line(long now) {
    double seconds = Math.max((now - started) / 1e9, 1e-3);
    double rate = bytes / seconds;
    StringBuilder line = new StringBuilder(what).append(": ").append(size(bytes));
    if (total >= 0) {
      line.append(" of ").append(size(total));
    }
    line.append(", ").append(size((long) rate)).append("/s");
    if (total > bytes && rate > 0) {
      line.append(", ").append(duration((long) Math.ceil((total - bytes) / rate))).append(" left");
    }
    return line.toString();
  }

  /** Bytes with three significant digits or so. */
  public static String size(long bytes) {
    if (bytes < 1000) {
      return bytes + " B";
    }
    double value = bytes;
    int unit = -1;
    do {
      value /= 1000;
      unit++;
    } while (value >= 999.5 && unit < 3);
    return String.format(
        Locale.ROOT, value < 10 ? "%.1f %cB" : "%.0f %cB", value, "kMGT".charAt(unit));
  }

  private static String duration(long seconds) {
    return seconds < 60 ? seconds + " s" : seconds / 60 + " min " + seconds % 60 + " s";
  }

  /** A stream that counts what is read from {@code in}. */
  public InputStream count(InputStream in) {
    return new FilterInputStream(in) {
      @Override
      public int read() throws IOException {
        int b = super.read();
        if (b >= 0) {
          advance(1);
        }
        return b;
      }

      @Override
      public int read(byte[] buffer, int offset, int length) throws IOException {
        int n = super.read(buffer, offset, length);
        if (n > 0) {
          advance(n);
        }
        return n;
      }
    };
  }

  /** Removes the line. */
  @Override
  public void close() {
    if (shown) {
      terminal.print("\r\033[K");
      terminal.flush();
    }
  }
}

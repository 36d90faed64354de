package io.litefs.config;

/**
 * The log, on standard output.
 *
 * @param format form of a line (default {@link Format#TEXT})
 * @param timestamp whether a line begins with the time (default true)
 * @param debug whether debug messages are written (default false)
 */
public record LogConfig(Format format, boolean timestamp, boolean debug) {

  public LogConfig withDebug(boolean debug) {
    return new LogConfig(format, timestamp, debug);
  }

  /** Form of a log line. */
  public enum Format {
    TEXT,
    JSON
  }
}

package io.litefs.daemon;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.LayoutBase;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/** {@code time level message}, one line; the stack trace of an exception only with debug. */
final class TextLayout extends LayoutBase<ILoggingEvent> {

  private final boolean timestamp;
  private final boolean debug;

  TextLayout(boolean timestamp, boolean debug) {
    this.timestamp = timestamp;
    this.debug = debug;
  }

  @Override
  public String doLayout(ILoggingEvent event) {
    StringBuilder line = new StringBuilder(160);
    if (timestamp) {
      line.append(time(event)).append(' ');
    }
    line.append(event.getLevel());
    line.append(event.getLevel().levelStr.length() == 4 ? "  " : " ");
    line.append(event.getFormattedMessage());
    if (event.getThrowableProxy() != null) {
      if (debug) {
        line.append('\n').append(ThrowableProxyUtil.asString(event.getThrowableProxy()));
        return line.toString();
      }
      line.append(": ").append(cause(event));
    }
    return line.append('\n').toString();
  }

  /** Always with milliseconds, so that columns line up. */
  static String time(ILoggingEvent event) {
    String text =
        Instant.ofEpochMilli(event.getTimeStamp()).truncatedTo(ChronoUnit.MILLIS).toString();
    return text.length() == 20 ? text.substring(0, 19) + ".000Z" : text;
  }

  /** The exception on one line: its message, or its class where there is none. */
  static String cause(ILoggingEvent event) {
    String message = event.getThrowableProxy().getMessage();
    return message == null ? event.getThrowableProxy().getClassName() : message;
  }
}

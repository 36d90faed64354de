package io.litefs.daemon;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.LayoutBase;
import com.fasterxml.jackson.core.io.JsonStringEncoder;

/**
 * One JSON object a line: {@code time}, {@code level}, {@code logger}, {@code msg}, {@code error},
 * with debug {@code stack}.
 */
final class JsonLayout extends LayoutBase<ILoggingEvent> {

  private final boolean timestamp;
  private final boolean debug;

  JsonLayout(boolean timestamp, boolean debug) {
    this.timestamp = timestamp;
    this.debug = debug;
  }

  @Override
  public String doLayout(ILoggingEvent event) {
    StringBuilder line = new StringBuilder(200).append('{');
    if (timestamp) {
      field(line, "time", TextLayout.time(event));
    }
    field(line, "level", event.getLevel().levelStr);
    field(line, "logger", event.getLoggerName());
    field(line, "msg", event.getFormattedMessage());
    if (event.getThrowableProxy() != null) {
      field(line, "error", TextLayout.cause(event));
      if (debug) {
        field(line, "stack", ThrowableProxyUtil.asString(event.getThrowableProxy()));
      }
    }
    return line.append("}\n").toString();
  }

  private static void field(StringBuilder line, String name, String value) {
    if (line.length() > 1) {
      line.append(',');
    }
    line.append('"').append(name).append("\":\"");
    JsonStringEncoder.getInstance().quoteAsString(String.valueOf(value), line);
    line.append('"');
  }
}

package io.litefs.daemon;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ConfiguratorRank;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.LayoutBase;
import ch.qos.logback.core.UnsynchronizedAppenderBase;
import ch.qos.logback.core.encoder.LayoutWrappingEncoder;
import ch.qos.logback.core.rolling.FixedWindowRollingPolicy;
import ch.qos.logback.core.rolling.RollingFileAppender;
import ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy;
import ch.qos.logback.core.spi.ContextAwareBase;
import ch.qos.logback.core.util.FileSize;
import io.litefs.config.LogConfig;
import io.litefs.config.TracingConfig;
import io.litefs.daemon.status.EventLog;
import java.time.Instant;
import org.slf4j.LoggerFactory;

/**
 * The log. Set up in code: reading an XML file and looking for one would cost a fifth of the time
 * to mount. Until {@link #configure} is called, warnings go to standard error, which is what the
 * commands other than {@code mount} want.
 */
@ConfiguratorRank(ConfiguratorRank.CUSTOM_HIGH_PRIORITY)
public final class Logs extends ContextAwareBase implements Configurator {

  /** For logback, which finds this class by name. */
  public Logs() {}

  @Override
  public ExecutionStatus configure(LoggerContext context) {
    set(context, new TextLayout(false, false), "System.err", Level.WARN);
    return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
  }

  /** The daemon's log: standard output, in the form that {@code config} asks for. */
  static void configure(LogConfig config) {
    LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    context.reset();
    LayoutBase<ILoggingEvent> layout =
        switch (config.format()) {
          case TEXT -> new TextLayout(config.timestamp(), config.debug());
          case JSON -> new JsonLayout(config.timestamp(), config.debug());
        };
    set(context, layout, "System.out", Level.INFO);
    if (config.debug()) {
      context.getLogger("io.litefs").setLevel(Level.DEBUG);
    }
    context.getLogger("io.netty").setLevel(Level.WARN);
    // Without a network card it makes up a part of the ids in its debug messages, and warns.
    context.getLogger("io.netty.util.internal.MacAddressUtil").setLevel(Level.ERROR);
  }

  /**
   * Sends the trace log to a file, and to standard output only if {@code toOutput}. Files that have
   * become too large are numbered, the newest first.
   *
   * @param config with a path
   */
  static void trace(TracingConfig config, boolean toOutput) {
    LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    String path = config.path().orElseThrow().toString();
    RollingFileAppender<ILoggingEvent> appender = new RollingFileAppender<>();
    appender.setContext(context);
    appender.setName("trace");
    appender.setFile(path);
    appender.setEncoder(encoder(context, new TextLayout(true, false)));

    FixedWindowRollingPolicy numbering = new FixedWindowRollingPolicy();
    numbering.setContext(context);
    numbering.setParent(appender);
    numbering.setFileNamePattern(path + ".%i" + (config.compress() ? ".gz" : ""));
    numbering.setMinIndex(1);
    numbering.setMaxIndex(Math.max(1, config.maxCount()));
    numbering.start();

    SizeBasedTriggeringPolicy<ILoggingEvent> size = new SizeBasedTriggeringPolicy<>();
    size.setContext(context);
    size.setMaxFileSize(new FileSize(config.maxSize()));
    size.start();

    appender.setRollingPolicy(numbering);
    appender.setTriggeringPolicy(size);
    appender.start();
    Logger logger = context.getLogger(TracedFileSystem.LOGGER);
    logger.setAdditive(toOutput);
    logger.addAppender(appender);
  }

  /** Has what the log says at INFO and above kept for the status as well. */
  static void keep(EventLog events) {
    LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    UnsynchronizedAppenderBase<ILoggingEvent> appender =
        new UnsynchronizedAppenderBase<>() {
          @Override
          protected void append(ILoggingEvent event) {
            if (event.getLevel().isGreaterOrEqual(Level.INFO)
                && !event.getLoggerName().equals(TracedFileSystem.LOGGER)) {
              String cause =
                  event.getThrowableProxy() == null ? "" : ": " + TextLayout.cause(event);
              events.add(
                  Instant.ofEpochMilli(event.getTimeStamp()),
                  event.getLevel().levelStr,
                  event.getFormattedMessage() + cause);
            }
          }
        };
    appender.setContext(context);
    appender.setName("events");
    appender.start();
    context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME).addAppender(appender);
  }

  private static void set(
      LoggerContext context, LayoutBase<ILoggingEvent> layout, String target, Level level) {
    ConsoleAppender<ILoggingEvent> appender = new ConsoleAppender<>();
    appender.setContext(context);
    appender.setName("console");
    appender.setTarget(target);
    appender.setEncoder(encoder(context, layout));
    appender.start();
    Logger root = context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    root.setLevel(level);
    root.addAppender(appender);
  }

  private static LayoutWrappingEncoder<ILoggingEvent> encoder(
      LoggerContext context, LayoutBase<ILoggingEvent> layout) {
    layout.setContext(context);
    layout.start();
    LayoutWrappingEncoder<ILoggingEvent> encoder = new LayoutWrappingEncoder<>();
    encoder.setContext(context);
    encoder.setLayout(layout);
    encoder.start();
    return encoder;
  }
}

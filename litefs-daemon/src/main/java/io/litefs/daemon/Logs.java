package io.litefs.daemon;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ConfiguratorRank;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.LayoutBase;
import ch.qos.logback.core.encoder.LayoutWrappingEncoder;
import ch.qos.logback.core.spi.ContextAwareBase;
import io.litefs.config.LogConfig;
import org.slf4j.LoggerFactory;

/**
 * The log. Set up in code: reading an XML file and looking for one would cost a fifth of the time to mount. Until {@link
 * #configure} is called, warnings go to standard error, which is what the commands other than {@code mount} want.
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
  }

  /** Whether debug messages and stack traces are wanted. */
  static boolean debug() {
    return LoggerFactory.getLogger("io.litefs").isDebugEnabled();
  }

  private static void set(
      LoggerContext context, LayoutBase<ILoggingEvent> layout, String target, Level level) {
    layout.setContext(context);
    layout.start();
    LayoutWrappingEncoder<ILoggingEvent> encoder = new LayoutWrappingEncoder<>();
    encoder.setContext(context);
    encoder.setLayout(layout);
    encoder.start();
    ConsoleAppender<ILoggingEvent> appender = new ConsoleAppender<>();
    appender.setContext(context);
    appender.setName("console");
    appender.setTarget(target);
    appender.setEncoder(encoder);
    appender.start();
    Logger root = context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    root.setLevel(level);
    root.addAppender(appender);
  }
}

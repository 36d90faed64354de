package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.LoggingEvent;
import java.io.IOException;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class LayoutTest {

  private static ILoggingEvent event(
      Level level, Throwable thrown, String message, Object... arguments) {
    Logger logger = new LoggerContext().getLogger("io.litefs.x");
    LoggingEvent event = new LoggingEvent("", logger, level, message, thrown, arguments);
    event.setInstant(Instant.parse("2026-01-02T03:04:05Z"));
    return event;
  }

  @Test
  void textIsTimeLevelMessage() {
    assertThat(new TextLayout(true, false).doLayout(event(Level.INFO, null, "role: {}", "primary")))
        .isEqualTo("2026-01-02T03:04:05.000Z INFO  role: primary\n");
    assertThat(new TextLayout(false, false).doLayout(event(Level.ERROR, null, "gone")))
        .isEqualTo("ERROR gone\n");
  }

  @Test
  void anExceptionIsOneLineUnlessDebugging() {
    IOException thrown = new IOException("disk full");
    assertThat(new TextLayout(false, false).doLayout(event(Level.WARN, thrown, "cannot sync")))
        .isEqualTo("WARN  cannot sync: disk full\n");
    assertThat(
            new TextLayout(false, false)
                .doLayout(event(Level.WARN, new IllegalStateException(), "odd")))
        .isEqualTo("WARN  odd: java.lang.IllegalStateException\n");
    assertThat(new TextLayout(false, true).doLayout(event(Level.WARN, thrown, "cannot sync")))
        .contains("java.io.IOException: disk full", "\tat io.litefs");
  }

  @Test
  void jsonIsOneObjectALine() {
    assertThat(
            new JsonLayout(true, false)
                .doLayout(event(Level.WARN, new IOException("a\tb"), "say \"x\"\n")))
        .isEqualTo(
            "{\"time\":\"2026-01-02T03:04:05.000Z\",\"level\":\"WARN\",\"logger\":\"io.litefs.x\","
                + "\"msg\":\"say \\\"x\\\"\\n\",\"error\":\"a\\tb\"}\n");
    assertThat(new JsonLayout(false, false).doLayout(event(Level.INFO, null, "m")))
        .isEqualTo("{\"level\":\"INFO\",\"logger\":\"io.litefs.x\",\"msg\":\"m\"}\n");
  }
}

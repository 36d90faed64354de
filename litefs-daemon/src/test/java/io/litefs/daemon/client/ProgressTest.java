package io.litefs.daemon.client;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class ProgressTest {

  private final ByteArrayOutputStream screen = new ByteArrayOutputStream();
  private final PrintStream terminal = new PrintStream(screen, true, StandardCharsets.UTF_8);
  private final AtomicLong nanos = new AtomicLong();

  private String screen() {
    return screen.toString(StandardCharsets.UTF_8);
  }

  @Test
  void bytesRateAndTimeLeftAreShown() {
    try (Progress progress = new Progress(terminal, "importing a.db", 400_000_000, nanos::get)) {
      nanos.addAndGet(1_000_000_000L);
      progress.advance(100_000_000);
      assertThat(screen())
          .isEqualTo("\rimporting a.db: 100 MB of 400 MB, 100 MB/s, 3 s left\033[K");
    }
    assertThat(screen()).as("the line is removed").endsWith("\r\033[K");
  }

  @Test
  void anUnknownTotalGivesNoTimeLeft() {
    Progress progress = new Progress(terminal, "exporting a.db", -1, nanos::get);
    nanos.addAndGet(500_000_000L);
    progress.advance(1_500);
    assertThat(screen()).contains("exporting a.db: 1.5 kB, 3.0 kB/s").doesNotContain("left");
  }

  @Test
  void atMostFiveTimesASecond() {
    Progress progress = new Progress(terminal, "x", -1, nanos::get);
    for (int i = 0; i < 1000; i++) {
      nanos.addAndGet(1_000_000L);
      progress.advance(1);
    }
    assertThat(screen().split("\r")).hasSize(1 + 5);
  }

  @Test
  void nothingIsShownWithoutATerminal() throws IOException {
    try (Progress progress = new Progress(null, "x", 10, nanos::get)) {
      nanos.addAndGet(10_000_000_000L);
      assertThat(progress.count(new ByteArrayInputStream(new byte[10])).readAllBytes()).hasSize(10);
    }
    assertThat(screen()).isEmpty();
  }

  @Test
  void sizesHaveFewDigits() {
    assertThat(Progress.size(0)).isEqualTo("0 B");
    assertThat(Progress.size(999)).isEqualTo("999 B");
    assertThat(Progress.size(1000)).isEqualTo("1.0 kB");
    assertThat(Progress.size(12_345_678)).isEqualTo("12 MB");
    assertThat(Progress.size(999_600_000)).isEqualTo("1.0 GB");
    assertThat(Progress.size(5_000_000_000_000L)).isEqualTo("5.0 TB");
  }
}

package io.litefs.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DurationsTest {

  @ParameterizedTest
  @CsvSource({
    "0, PT0S",
    "+0, PT0S",
    "10m, PT10M",
    "1h30m, PT1H30M",
    "500ms, PT0.5S",
    "1.5s, PT1.5S",
    ".5s, PT0.5S",
    "1.s, PT1S",
    "7us, PT0.000007S",
    "7\u00b5s, PT0.000007S",
    "7\u03bcs, PT0.000007S",
    "1ns, PT0.000000001S",
    "0.4ns, PT0S",
    "1h1m1s1ms1us1ns, PT1H1M1.001001001S",
    "1m1h, PT1H1M",
    "-1m, PT-1M",
    "+1m, PT1M",
    "2562047h47m16.854775807s, PT2562047H47M16.854775807S"
  })
  void parsesWhatGoParses(String text, Duration expected) {
    assertThat(Durations.parse(text)).isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", "-", "1", "1.5", "m", ".s", "1d", "1 m", "1m ", "1m30", "1e3s", "1M", "--1m", "ten"
      })
  void refusesWhatGoRefuses(String text) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Durations.parse(text))
        .withMessageContaining("10m, 1h30m or 500ms");
  }

  @ParameterizedTest
  @ValueSource(strings = {"2562047h47m16.854775808s", "99999999999999999999h"})
  void refusesMoreThanALongOfNanoseconds(String text) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Durations.parse(text))
        .withMessageContaining("more than 292 years");
  }
}

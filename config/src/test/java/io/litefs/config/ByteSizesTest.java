package io.litefs.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ByteSizesTest {

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "4096, 4096",
    "100B, 100",
    "1KB, 1000",
    "1KiB, 1024",
    "500MB, 500000000",
    "500 mb, 500000000",
    "2GiB, 2147483648",
    "1.5GiB, 1610612736",
    "1TB, 1000000000000",
    "1TiB, 1099511627776"
  })
  void parsesNumbersWithUnits(String text, long expected) {
    assertThat(ByteSizes.parse(text, 1)).isEqualTo(expected);
  }

  @Test
  void countsAPlainNumberInTheGivenUnit() {
    assertThat(ByteSizes.parse("64", 1 << 20)).isEqualTo(64L << 20);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "-1", "MB", "1 G B", "1XB", "1.MB", "10000000000GB", "1m"})
  void refusesAnythingElse(String text) {
    assertThatIllegalArgumentException().isThrownBy(() -> ByteSizes.parse(text, 1));
  }
}

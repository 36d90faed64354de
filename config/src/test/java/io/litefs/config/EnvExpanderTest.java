package io.litefs.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EnvExpanderTest {
  private static final Map<String, String> ENV =
      Map.of(
          "REGION", "lhr", "PRIMARY", "lhr", "OTHER", "ord", "EMPTY", "", "_x1", "y", "TWO",
          "a\nb");

  private static String expand(String text) throws ConfigException {
    Problems problems = new Problems("litefs.yml");
    EnvExpander.Expanded expanded = new EnvExpander(ENV, problems).expand(text);
    problems.throwIfAny();
    return expanded.text();
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      value = {
        "$REGION, lhr",
        "${REGION}, lhr",
        "${ REGION }, lhr",
        "a${REGION}b$OTHER., alhrbord.",
        "$_x1, y",
        "[$UNSET], []",
        "[${UNSET}], []",
        "${REGION == \"lhr\"}, true",
        "${REGION==\"lhr\"}, true",
        "${REGION == \"ord\"}, false",
        "${REGION == 'lhr'}, true",
        "${REGION != 'lhr'}, false",
        "${REGION != \"ord\"}, true",
        "${REGION == PRIMARY}, true",
        "${REGION != OTHER}, true",
        "${UNSET == EMPTY}, true",
        "${UNSET == \"\"}, true",
        "${REGION == 'a}b'}, false",
        "$$REGION, $REGION",
        "a$, a$",
        "$1 $- $., $1 $- $."
      })
  void replacesVariablesAndComparisons(String text, String expected) throws ConfigException {
    assertThat(expand(text)).isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "${REGION",
        "${}",
        "${REGION:-x}",
        "${REGION = 'x'}",
        "${'x' == REGION}",
        "${A == 'x}",
        "${A == B == C}",
        "${1A}",
        "${A < B}"
      })
  void refusesWhatItDoesNotUnderstand(String text) {
    assertThatExceptionOfType(ConfigException.class)
        .isThrownBy(() -> expand("first: line\nkey: " + text))
        .withMessageStartingWith("litefs.yml:2: ")
        .withMessageContaining("allowed: $NAME, ${NAME}");
  }

  @Test
  void leavesOddExpressionsInCommentsAlone() throws ConfigException {
    assertThat(expand("  # write ${NAME:-x} or ${\nkey: $REGION")).endsWith("key: lhr");
  }

  @Test
  void keepsTheLineNumbersOfTheFileWhenAValueHasLineEnds() {
    Problems problems = new Problems("litefs.yml");
    EnvExpander.Expanded expanded = new EnvExpander(ENV, problems).expand("1\n$TWO\n3\n");
    assertThat(expanded.text()).isEqualTo("1\na\nb\n3\n");
    assertThat(expanded.sourceLines()).containsExactly(1, 2, 2, 3, 4);
  }
}

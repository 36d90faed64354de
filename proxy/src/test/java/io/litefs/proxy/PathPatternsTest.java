package io.litefs.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PathPatternsTest {

  @ParameterizedTest
  @CsvSource({
    "/a, /a, true",
    "/a, /ab, false",
    "/a, /A, false",
    "*, /anything, true",
    "*.png, /img/x.png, true",
    "*.png, /img/x.png/y, false",
    "/debug/*, /debug/, true",
    "/debug/*, /debug, false",
    "/a*/b*c, /ax/b/c/c, true",
    "/a*/b*c, /ax/b, false",
    "/ab*ba, /aba, false",
    "/a**b, /ab, true",
    "/a.c, /abc, false",
    "*a*a*, /aa, true",
    "*a*a*, /a, false",
  })
  void aStarStandsForAnyCharacters(String pattern, String path, boolean matches) {
    assertThat(new PathPatterns(List.of(pattern)).matches(path)).isEqualTo(matches);
  }

  @Test
  void anyOfTheListIsEnough() {
    PathPatterns patterns = new PathPatterns(List.of("/a", "/b*"));
    assertThat(patterns.matches("/bc")).isTrue();
    assertThat(patterns.matches("/c")).isFalse();
    assertThat(new PathPatterns(List.of()).matches("/")).isFalse();
  }
}

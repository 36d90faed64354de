package io.litefs.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HostPortTest {

  @ParameterizedTest
  @CsvSource({
    ":20202, '', 20202",
    "localhost:8080, localhost, 8080",
    "0.0.0.0:0, 0.0.0.0, 0",
    "[::1]:65535, ::1, 65535"
  })
  void parsesAndPrintsTheSame(String text, String host, int port) {
    HostPort address = HostPort.parse(text);
    assertThat(address).isEqualTo(new HostPort(host, port));
    assertThat(address).hasToString(text);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "localhost",
        "20202",
        "",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "::1:80",
        "http://host:80",
        "host:80/",
        "a b:1",
        "host:999999"
      })
  void refusesAnythingElse(String text) {
    assertThatIllegalArgumentException().isThrownBy(() -> HostPort.parse(text));
  }

  @Test
  void listensOnEveryAddressWithoutAHost() {
    assertThat(HostPort.parse(":1").toListenAddress().getAddress().isAnyLocalAddress()).isTrue();
    assertThat(HostPort.parse("127.0.0.1:1").toListenAddress().getAddress().isLoopbackAddress())
        .isTrue();
  }
}

package io.litefs.daemon;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.sun.net.httpserver.HttpServer;
import io.litefs.ltx.Pos;
import io.litefs.store.HaltRefusedException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the primary's answers to {@code /halt} mean. */
class HttpForwarderTest {

  private HttpServer primary;
  private HttpForwarder forwarder;
  private volatile int status = 200;
  private volatile String body = "";

  @BeforeEach
  void start() throws IOException {
    primary = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    primary.createContext(
        "/halt",
        exchange -> {
          byte[] bytes = body.getBytes(UTF_8);
          exchange.sendResponseHeaders(status, bytes.length);
          exchange.getResponseBody().write(bytes);
          exchange.close();
        });
    primary.start();
    URI api = URI.create("http://127.0.0.1:" + primary.getAddress().getPort());
    forwarder = new HttpForwarder(() -> Optional.of(api));
  }

  @AfterEach
  void stop() {
    primary.stop(0);
  }

  @Test
  void itIsGivenWithAPosition() throws IOException {
    body =
        "{\"id\":1,\"pos\":{\"TXID\":\"0000000000000002\",\"PostApplyChecksum\":\"8000000000000003\"}}";
    assertThat(forwarder.halt("a.db", 1)).isEqualTo(Pos.parse("0000000000000002/8000000000000003"));
  }

  @ParameterizedTest
  @CsvSource({"404, NO_DATABASE", "409, BUSY", "503, NOT_PRIMARY"})
  void itIsRefused(int answered, HaltRefusedException.Reason reason) {
    status = answered;
    body = "the reason\nand more";
    assertThatExceptionOfType(HaltRefusedException.class)
        .isThrownBy(() -> forwarder.halt("a.db", 1))
        .withMessage("the reason")
        .satisfies(e -> assertThat(e.reason()).isEqualTo(reason));
  }

  @ParameterizedTest
  @ValueSource(ints = {400, 500})
  void aPrimaryThatFailsHasNotRefused(int answered) {
    status = answered;
    body = "disk I/O error";
    assertThatExceptionOfType(IOException.class)
        .isThrownBy(() -> forwarder.halt("a.db", 1))
        .withMessage("disk I/O error")
        .isNotInstanceOf(HaltRefusedException.class);
  }
}

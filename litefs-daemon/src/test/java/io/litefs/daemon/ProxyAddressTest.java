package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ProxyAddressTest {

  private HttpServer primary;
  private URI api;
  private volatile String told;
  private volatile String asked;

  @BeforeEach
  void start() throws IOException {
    primary = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    primary.createContext(
        "/",
        exchange -> {
          asked = exchange.getRequestMethod() + " " + exchange.getRequestURI();
          if (told != null) {
            exchange.getResponseHeaders().set("Litefs-Proxy-Url", told);
          }
          exchange.sendResponseHeaders(200, -1);
          exchange.close();
        });
    primary.start();
    api = URI.create("http://127.0.0.1:" + primary.getAddress().getPort());
  }

  @AfterEach
  void stop() {
    primary.stop(0);
  }

  @Test
  void isWhatThePrimarySays() {
    told = "http://10.1.2.3:8000";
    assertThat(ProxyAddress.ask(api, 8080)).isEqualTo(URI.create("http://10.1.2.3:8000"));
    assertThat(asked).isEqualTo("HEAD /info");
  }

  @Test
  void isTheOwnPortOnThePrimarysHostIfItSaysNothing() {
    assertThat(ProxyAddress.ask(api, 8080)).isEqualTo(URI.create("http://127.0.0.1:8080"));
  }

  @Test
  void isTheSameIfItSaysWhatCannotBeUsed() {
    for (String useless : new String[] {"https://10.1.2.3", "no address", "http://"}) {
      told = useless;
      assertThat(ProxyAddress.ask(api, 8080)).isEqualTo(URI.create("http://127.0.0.1:8080"));
    }
  }

  @Test
  void isTheSameIfItDoesNotAnswer() {
    primary.stop(0);
    assertThat(ProxyAddress.ask(api, 8080)).isEqualTo(URI.create("http://127.0.0.1:8080"));
  }

  @Test
  void keepsTheBracketsOfAnAddress() {
    assertThat(ProxyAddress.onPort(URI.create("http://[::1]:20202"), 8080))
        .isEqualTo(URI.create("http://[::1]:8080"));
  }
}

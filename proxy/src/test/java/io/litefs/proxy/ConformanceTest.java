package io.litefs.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is not plainly HTTP/1.1 goes no further than the proxy, and ends the connection. */
class ConformanceTest {

  private static TestApp app;
  private static TestProxy proxy;

  @BeforeAll
  static void start() throws IOException {
    app = TestApp.echo();
    proxy = TestProxy.onPrimary(app);
  }

  @AfterAll
  static void stop() throws IOException {
    proxy.close();
    app.close();
  }

  private static String unescape(String text) {
    return text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").replace("\\0", "\0");
  }

  @ParameterizedTest(name = "{1}")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\nContent-Length: 5\\r\\n\\r\\n0\\r\\n\\r\\n
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 5\\r\\nContent-Length: 6\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 5\\r\\nContent-Length: 5\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 5, 5\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: +5\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: -5\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 0x5\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 5 5\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: \\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: five\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 99999999999999999999\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length : 5\\r\\n\\r\\nhello
          400 | POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding : chunked\\r\\n\\r\\n0\\r\\n\\r\\n
          501 | POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: gzip, chunked\\r\\n\\r\\n0\\r\\n\\r\\n
          4xx | POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked, gzip\\r\\n\\r\\n0\\r\\n\\r\\n
          4xx | POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: xchunked\\r\\n\\r\\n0\\r\\n\\r\\n
          4xx | POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: identity\\r\\n\\r\\n0\\r\\n\\r\\n
          4xx | POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n
          4xx | POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\nTransfer-Encoding: identity\\r\\n\\r\\n0\\r\\n\\r\\n
          400 | POST / HTTP/1.0\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\nHost: a\\r\\nHost: b\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\nHost: a/b\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\nHost: a@b\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\nHost: a b\\r\\n\\r\\n
          400 | GET path HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n
          400 | GET /#fragment HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n
          400 | GET * HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\nHost: a\\r\\nBad Name: x\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\nHost: a\\r\\n: empty\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\nHost: a\\r\\nNoColon\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\nHost: a\\r\\nX: nul\\0inside\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\r\\n X: begins folded\\r\\nHost: a\\r\\n\\r\\n
          400 | GET / HTTP/1.1\\nHost: a\\n\\n
          400 | GET / HTTP/1.1\\r\\nHost: a\\nX: bare line feed\\r\\n\\r\\n
          400 | GET  / HTTP/1.1 x\\r\\nHost: a\\r\\n\\r\\n
          505 | GET / HTTP/1.2\\r\\nHost: a\\r\\n\\r\\n
          4xx | GET / HTTP/2.0\\r\\nHost: a\\r\\n\\r\\n
          4xx | GET / FTP/1.1\\r\\nHost: a\\r\\n\\r\\n
          400 | GET(/) HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n
          400 | G@T / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n
          400 | GET /\\r\\nHost: a\\r\\n\\r\\n
          501 | CONNECT a:443 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n
          417 | POST / HTTP/1.1\\r\\nHost: a\\r\\nExpect: 200-ok\\r\\nContent-Length: 1\\r\\n\\r\\nx
          """)
  void refuses(String status, String request) throws Exception {
    try (RawClient client = proxy.client()) {
      // A second request behind it must not be served, whatever the first one was taken for.
      client.send(unescape(request) + RawClient.request("GET", "/smuggled"));
      HttpText answer = client.read();
      assertThat(answer.startLine()).startsWith("HTTP/1.1 ");
      if (status.equals("4xx")) {
        assertThat(answer.status()).isBetween(400, 505);
      } else {
        assertThat(answer.status()).isEqualTo(Integer.parseInt(status));
      }
      assertThat(answer.field("Connection")).isEqualTo("close");
      assertThat(client.isAtEnd()).isTrue();
    }
    assertThat(app.unseen()).isZero();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "x\\r\\nhello\\r\\n0\\r\\n\\r\\n",
        "-5\\r\\nhello\\r\\n0\\r\\n\\r\\n",
        "+5\\r\\nhello\\r\\n0\\r\\n\\r\\n",
        "0x5\\r\\nhello\\r\\n0\\r\\n\\r\\n",
        "5 5\\r\\nhello\\r\\n0\\r\\n\\r\\n",
        "\\r\\nhello\\r\\n0\\r\\n\\r\\n",
        "ffffffffffffffff5\\r\\nhello\\r\\n0\\r\\n\\r\\n",
        "5\\nhello\\r\\n0\\r\\n\\r\\n",
        "5\\r\\nhelloXX0\\r\\n\\r\\n",
        "5\\r\\nhello\\r\\n0\\r\\nNo colon\\r\\n\\r\\n",
      })
  void endsARequestWithBadChunksAndTheApplicationNeverSeesItsEnd(String chunks) throws Exception {
    try (RawClient client = proxy.client()) {
      client.send(
          RawClient.request("POST", "/chunks", "Transfer-Encoding: chunked") + unescape(chunks));
      HttpText answer = client.read();
      assertThat(answer.status()).isEqualTo(400);
      assertThat(client.isAtEnd()).isTrue();
    }
    // The application reads whole requests only.
    assertThat(app.unseen()).isZero();
  }

  @Test
  void foldedFieldsAreUnfolded() throws Exception {
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/folded", "X-Long: one\r\n  two").status()).isEqualTo(200);
      assertThat(app.received().field("X-Long")).isEqualTo("one two");
    }
  }

  @Test
  void limitsTheRequestLine() throws Exception {
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/" + "x".repeat(5000)).status()).isEqualTo(414);
      assertThat(client.isAtEnd()).isTrue();
    }
  }

  @Test
  void limitsTheSizeOfTheHeader() throws Exception {
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/", "X: " + "x".repeat(17000)).status()).isEqualTo(431);
      assertThat(client.isAtEnd()).isTrue();
    }
  }

  @Test
  void limitsTheNumberOfFields() throws Exception {
    String[] fields = new String[50];
    java.util.Arrays.fill(fields, "X: y");
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/", fields).status()).isEqualTo(431);
      assertThat(client.isAtEnd()).isTrue();
    }
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/", java.util.Arrays.copyOf(fields, 49)).status()).isEqualTo(200);
      assertThat(app.received().fields("X")).hasSize(49);
    }
  }

  @Test
  void limitsTheSizeOfTrailers() throws Exception {
    try (RawClient client = proxy.client()) {
      client.send(
          RawClient.request("POST", "/", "Transfer-Encoding: chunked")
              + "1\r\nx\r\n0\r\nX: "
              + "x".repeat(17000)
              + "\r\n\r\n");
      assertThat(client.read().status()).isEqualTo(400);
    }
    assertThat(app.unseen()).isZero();
  }

  @Test
  void anAbsoluteTargetNamesTheHost() throws Exception {
    try (RawClient client = proxy.client()) {
      assertThat(client.get("http://other.example:81?q").status()).isEqualTo(200);
      HttpText got = app.received();
      assertThat(got.target()).isEqualTo("/?q");
      assertThat(got.fields("Host")).containsExactly("other.example:81");
    }
  }

  @Test
  void bytesAboveAsciiPassAsTheyAre() throws Exception {
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/\u00e4\u00ff", "X: \u00fc\u0080").status()).isEqualTo(200);
      HttpText got = app.received();
      assertThat(got.target()).isEqualTo("/\u00e4\u00ff");
      assertThat(got.field("X")).isEqualTo("\u00fc\u0080");
    }
  }

  @Test
  void http10IsAnsweredWithoutChunksAndClosed() throws Exception {
    app.behave(
        (request, connection) -> {
          connection.send(
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
          return true;
        });
    try (RawClient client = proxy.client()) {
      HttpText answer = client.send("GET / HTTP/1.0\r\n\r\n").read();
      assertThat(answer.field("Transfer-Encoding")).isNull();
      assertThat(answer.field("Connection")).isEqualTo("close");
      assertThat(answer.body()).isEqualTo("abc");
      assertThat(app.received().startLine()).isEqualTo("GET / HTTP/1.1");
    } finally {
      app.behave(
          (request, connection) -> {
            connection.send(TestApp.ok(request.startLine() + "|" + request.body()));
            return true;
          });
    }
  }

  @Test
  void http10MayKeepItsConnection() throws Exception {
    try (RawClient client = proxy.client()) {
      for (int i = 0; i < 3; i++) {
        client.send("GET /" + i + " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        HttpText answer = client.read();
        assertThat(answer.body()).isEqualTo("GET /" + i + " HTTP/1.1|");
        assertThat(answer.field("Connection")).isEqualTo("keep-alive");
        app.received();
      }
    }
  }

  @Test
  void aSlowHeaderIsCutOff() throws Exception {
    try (TestProxy impatient = new TestProxy(app)) {
      impatient.readHeaderTimeout = Duration.ofMillis(100);
      impatient.primary.self();
      impatient.start();
      try (RawClient silent = impatient.client();
          RawClient slow = impatient.client()) {
        slow.send("GET / HTTP/1.1\r\nHost:");
        assertThat(slow.read().status()).isEqualTo(408);
        assertThat(slow.isAtEnd()).isTrue();
        assertThat(silent.isAtEnd()).isTrue();
      }
    }
  }

  @Test
  void aSlowBodyIsCutOffIfTheConfigurationSaysSo() throws Exception {
    try (TestProxy impatient = new TestProxy(app)) {
      impatient.readTimeout = Duration.ofMillis(200);
      impatient.primary.self();
      impatient.start();
      try (RawClient slow = impatient.client()) {
        slow.send(RawClient.request("POST", "/", "Content-Length: 10") + "12345");
        assertThat(slow.read().status()).isEqualTo(408);
        assertThat(slow.isAtEnd()).isTrue();
      }
    }
    assertThat(app.unseen()).isZero();
  }

  @Test
  void anIdleConnectionIsClosed() throws Exception {
    try (TestProxy impatient = new TestProxy(app)) {
      impatient.idleTimeout = Duration.ofMillis(100);
      impatient.primary.self();
      impatient.start();
      try (RawClient client = impatient.client()) {
        assertThat(client.get("/").status()).isEqualTo(200);
        assertThat(client.isAtEnd()).isTrue();
        app.received();
      }
    }
  }

  /**
   * One that is not waiting for an answer must not get one: it would belong to its next request.
   */
  @ParameterizedTest
  @ValueSource(strings = {"hello", "he", ""})
  void aBodyThatComesAfterItsAnswerIsNoRequest(String rest) throws Exception {
    try (TestProxy impatient = new TestProxy(app)) {
      impatient.readTimeout = Duration.ofMillis(1);
      impatient.idleTimeout = Duration.ofMillis(500);
      impatient.primary.otherWithoutProxy("first");
      impatient.start();
      try (RawClient client = impatient.client()) {
        client.send(RawClient.request("POST", "/", "Content-Length: 5"));
        assertThat(client.read().status()).isEqualTo(503);
        client.send(rest);
        assertThat(client.in().readAllBytes()).asString().isEmpty();
      }
    }
  }

  @Test
  void aRequestFollowsABodyThatCameAfterItsAnswer() throws Exception {
    try (TestProxy proxy = new TestProxy(app)) {
      proxy.primary.otherWithoutProxy("first");
      proxy.start();
      try (RawClient client = proxy.client()) {
        client.send(RawClient.request("POST", "/", "Content-Length: 5"));
        assertThat(client.read().status()).isEqualTo(503);
        client.send("he").send("llo" + RawClient.request("GET", "/next"));
        assertThat(client.read().status()).isEqualTo(200);
        assertThat(app.received().target()).isEqualTo("/next");
        assertThat(client.get("/again").status()).isEqualTo(200);
        app.received();
      }
    }
  }

  @Test
  void moreClientsThanAllowedAreToldSo() throws Exception {
    try (TestProxy small = new TestProxy(app)) {
      small.maxClients = 2;
      small.primary.self();
      small.start();
      try (RawClient one = small.client();
          RawClient two = small.client()) {
        assertThat(one.get("/1").status()).isEqualTo(200);
        assertThat(two.get("/2").status()).isEqualTo(200);
        try (RawClient three = small.client()) {
          assertThat(three.read().status()).isEqualTo(503);
        }
        app.received();
        app.received();
      }
    }
  }
}

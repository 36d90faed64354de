package io.litefs.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What passes from one connection to the other and what does not; how connections are kept. */
class ConnectionTest {

  private TestApp app;
  private TestProxy proxy;

  @AfterEach
  void stop() throws IOException {
    if (proxy != null) {
      proxy.close();
    }
    if (app != null) {
      app.close();
    }
  }

  private void start(TestApp withApp) throws IOException {
    app = withApp;
    proxy = TestProxy.onPrimary(app);
  }

  private static TestApp answering(String bytes) throws IOException {
    return TestApp.with(
        (request, connection) -> {
          connection.send(bytes);
          return true;
        });
  }

  // ------------------------------------------------------------ requests

  @Test
  void hopByHopFieldsStayOnTheirConnection() throws Exception {
    start(TestApp.echo());
    try (RawClient client = proxy.client()) {
      client.get(
          "/",
          "Connection: X-Private, keep-alive",
          "X-Private: secret",
          "Keep-Alive: timeout=5",
          "Proxy-Connection: keep-alive",
          "Proxy-Authorization: Basic x",
          "TE: gzip",
          "HTTP2-Settings: x",
          "Upgrade: h2c",
          "Authorization: Bearer y",
          "X-Public: kept");
      HttpText got = app.received();
      assertThat(got.fields("X-Public")).containsExactly("kept");
      assertThat(got.fields("Authorization")).containsExactly("Bearer y");
      for (String gone :
          List.of(
              "Connection",
              "X-Private",
              "Keep-Alive",
              "Proxy-Connection",
              "Proxy-Authorization",
              "TE",
              "HTTP2-Settings",
              "Upgrade",
              "Transfer-Encoding",
              "Content-Length")) {
        assertThat(got.field(gone)).as(gone).isNull();
      }
    }
  }

  @Test
  void tellsTheWayThatTheRequestCame() throws Exception {
    start(TestApp.echo());
    try (RawClient client = proxy.client()) {
      client.get("/");
      HttpText plain = app.received();
      assertThat(plain.fields("X-Forwarded-For")).containsExactly("127.0.0.1");
      assertThat(plain.fields("X-Forwarded-Proto")).containsExactly("http");
      assertThat(plain.fields("X-Forwarded-Host")).containsExactly("app.example");
      assertThat(plain.fields("Forwarded"))
          .containsExactly("for=127.0.0.1;host=\"app.example\";proto=http");
      assertThat(plain.field("Via")).matches("1\\.1 litefs-[0-9a-f]{16}");
    }
  }

  @Test
  void whatAProxyInFrontSaysIsKeptAndAddedTo() throws Exception {
    start(TestApp.echo());
    try (RawClient client = proxy.client()) {
      client.get(
          "/",
          "X-Forwarded-For: 10.0.0.1, 10.0.0.2",
          "X-Forwarded-For: 10.0.0.3",
          "X-Forwarded-Proto: https",
          "X-Forwarded-Host: public.example",
          "Via: 1.1 front");
      HttpText got = app.received();
      assertThat(got.fields("X-Forwarded-For"))
          .containsExactly("10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1");
      assertThat(got.fields("X-Forwarded-Proto")).containsExactly("https");
      assertThat(got.fields("X-Forwarded-Host")).containsExactly("public.example");
      assertThat(got.field("Forwarded")).isNull();
      assertThat(got.field("Via")).startsWith("1.1 front, 1.1 litefs-");

      client.get("/", "Forwarded: for=10.0.0.1;proto=https");
      assertThat(app.received().field("Forwarded"))
          .isEqualTo("for=10.0.0.1;proto=https, for=127.0.0.1;host=\"app.example\";proto=http");
    }
  }

  @Test
  void aClientCannotHideItsAddressAsHopByHop() throws Exception {
    start(TestApp.echo());
    try (RawClient client = proxy.client()) {
      client.get("/", "Connection: X-Forwarded-For, Host, Via", "X-Forwarded-For: 10.0.0.1");
      HttpText got = app.received();
      assertThat(got.fields("X-Forwarded-For")).containsExactly("127.0.0.1");
      assertThat(got.fields("Host")).containsExactly("app.example");
      assertThat(got.fields("Via")).hasSize(1);
    }
  }

  @Test
  void chunksAndTrailersPassInBothDirections() throws Exception {
    start(
        answering(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                + "5\r\nhello\r\n11;ext=1\r\n, wonderful world\r\n0\r\nX-Sum: 1\r\nX-End: 2\r\n\r\n"));
    try (RawClient client = proxy.client()) {
      client.send(
          RawClient.request(
                  "POST", "/", "Transfer-Encoding: Chunked", "TE: trailers", "Trailer: X-In")
              + "3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-In: in\r\nConnection: close\r\n\r\n");
      HttpText answer = client.read();
      assertThat(answer.body()).isEqualTo("hello, wonderful world");
      assertThat(answer.trailers()).containsExactly("X-Sum: 1", "X-End: 2");
      assertThat(answer.field("Trailer")).isEqualTo("X-Sum");
      HttpText got = app.received();
      assertThat(got.body()).isEqualTo("abc0123456789");
      assertThat(got.trailers()).containsExactly("X-In: in");
      assertThat(got.field("TE")).isEqualTo("trailers");
      assertThat(got.fields("Transfer-Encoding")).containsExactly("chunked");
    }
  }

  @Test
  void anAbsentLengthIsNoBody() throws Exception {
    start(TestApp.echo());
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/"));
      assertThat(client.read().body()).isEqualTo("POST / HTTP/1.1|");
      HttpText got = app.received();
      assertThat(got.field("Content-Length")).isNull();
      assertThat(got.field("Transfer-Encoding")).isNull();
      assertThat(client.post("/", "").status()).isEqualTo(200);
      assertThat(app.received().field("Content-Length")).isEqualTo("0");
    }
  }

  @Test
  void theApplicationDecidesWhetherTheClientContinues() throws Exception {
    start(
        TestApp.streaming(
            (request, connection) -> {
              if (request.target().equals("/refused")) {
                connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
                return true;
              }
              connection.send("HTTP/1.1 100 Continue\r\n\r\n");
              String body =
                  new String(
                      HttpText.exactly(connection.in(), 4),
                      java.nio.charset.StandardCharsets.US_ASCII);
              connection.send(TestApp.ok(body));
              return true;
            }));
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/", "Expect: 100-continue", "Content-Length: 4"));
      assertThat(client.readHead().startLine()).isEqualTo("HTTP/1.1 100 Continue");
      client.send("body");
      HttpText answer = client.read();
      assertThat(answer.body()).isEqualTo("body");
      assertThat(answer.field("Connection")).isNull();
      assertThat(app.received().field("Expect")).isEqualTo("100-continue");

      client.send(
          RawClient.request("POST", "/refused", "Expect: 100-continue", "Content-Length: 4"));
      HttpText refused = client.read();
      assertThat(refused.status()).isEqualTo(403);
      assertThat(refused.field("Connection")).isEqualTo("close");
      assertThat(client.isAtEnd()).isTrue();
    }
  }

  @Test
  void interimAnswersPass() throws Exception {
    start(
        answering(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                + "HTTP/1.1 102 Processing\r\n\r\n"
                + TestApp.ok("done")));
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/"));
      HttpText hints = client.readHead();
      assertThat(hints.status()).isEqualTo(103);
      assertThat(hints.field("Link")).isEqualTo("</a.css>");
      assertThat(client.readHead().status()).isEqualTo(102);
      assertThat(client.read().body()).isEqualTo("done");
      client.send(RawClient.request("GET", "/"));
      assertThat(client.readHead().status()).isEqualTo(103);
    }
  }

  // ------------------------------------------------------------ answers

  @Test
  void headHasTheLengthButNoBody() throws Exception {
    start(answering("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"));
    try (RawClient client = proxy.client()) {
      for (int i = 0; i < 2; i++) {
        client.send(RawClient.request("HEAD", "/"));
        assertThat(client.readHead().field("Content-Length")).isEqualTo("1234");
      }
      assertThat(app.connections()).isOne();
      client.send(RawClient.request("HEAD", "/litefs/health"));
      assertThat(client.readHead().field("Content-Length")).isEqualTo("3");
      client.send(RawClient.request("HEAD", "/"));
      assertThat(client.readHead().status()).isEqualTo(200);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"204 No Content\r\n", "304 Not Modified\r\nContent-Length: 1234\r\nETag: x\r\n"})
  void answersWithoutBodyDoNotWaitForOne(String head) throws Exception {
    start(answering("HTTP/1.1 " + head + "\r\n"));
    try (RawClient client = proxy.client()) {
      for (int i = 0; i < 2; i++) {
        client.send(RawClient.request("GET", "/"));
        assertThat(client.readHead().startLine()).isEqualTo("HTTP/1.1 " + head.split("\r")[0]);
      }
    }
    assertThat(app.connections()).isOne();
  }

  @Test
  void anAnswerThatEndsWithTheConnectionIsChunkedForTheClient() throws Exception {
    start(
        TestApp.with(
            (request, connection) -> {
              connection.send("HTTP/1.0 200 OK\r\n\r\nuntil the end");
              return false;
            }));
    try (RawClient client = proxy.client()) {
      HttpText answer = client.get("/");
      assertThat(answer.body()).isEqualTo("until the end");
      assertThat(answer.field("Transfer-Encoding")).isEqualTo("chunked");
      assertThat(client.get("/").status()).isEqualTo(200);
    }
  }

  @Test
  void hopByHopFieldsOfTheAnswerStayOnItsConnection() throws Exception {
    start(
        answering(
            "HTTP/1.1 200 Fine\r\nContent-Length: 0\r\nConnection: X-P\r\nX-P: 1\r\nKeep-Alive: x\r\n"
                + "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: app\r\n\r\n"));
    try (RawClient client = proxy.client()) {
      HttpText answer = client.get("/");
      assertThat(answer.startLine()).isEqualTo("HTTP/1.1 200 Fine");
      assertThat(answer.fields("Set-Cookie")).containsExactly("a=1", "b=2");
      assertThat(answer.field("Server")).isEqualTo("app");
      for (String gone : List.of("Connection", "X-P", "Keep-Alive")) {
        assertThat(answer.field(gone)).as(gone).isNull();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "NOT HTTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX: ",
      })
  void anAnswerThatCannotBeTrustedIsABadGateway(String answer) throws Exception {
    start(
        TestApp.with(
            (request, connection) -> {
              connection.send(answer);
              return false;
            }));
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/").status()).isEqualTo(502);
      assertThat(client.get("/litefs/health").status()).isEqualTo(200);
    }
  }

  @Test
  void whatFollowsAnAnswerIsNoAnswerToTheNextRequest() throws Exception {
    start(
        TestApp.with(
            (request, connection) -> {
              connection.send(TestApp.ok(request.target()) + TestApp.ok("nobody asked"));
              return true;
            }));
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/1") + RawClient.request("GET", "/2"));
      assertThat(client.read().body()).isEqualTo("/1");
      assertThat(client.read().body()).isEqualTo("/2");
      assertThat(client.get("/3").body()).isEqualTo("/3");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"{\"a\":1}", "HTTP/1.1 200 OK\r\nX-Smuggled: 1\r\n", "\r\n"})
  void aBodyThatMustNotBeThereIsNoPartOfTheNextAnswer(String body) throws Exception {
    start(
        TestApp.with(
            (request, connection) -> {
              boolean head = request.startLine().startsWith("HEAD ");
              connection.send(
                  head
                      ? "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + body
                      : TestApp.ok(request.target()));
              return true;
            }));
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("HEAD", "/"));
      assertThat(client.readHead().status()).isEqualTo(200);
      HttpText next = client.post("/next", "x");
      assertThat(next.status()).isEqualTo(200);
      assertThat(next.body()).isEqualTo("/next");
      assertThat(next.field("X-Smuggled")).isNull();
    }
    assertThat(app.connections()).isEqualTo(2);
  }

  /** Well before a connection is closed for being idle. */
  @Test
  void aBodyThatMustNotBeThereEndsTheConnectionIfItComesLater() throws Exception {
    CountDownLatch answered = new CountDownLatch(1);
    CountDownLatch closed = new CountDownLatch(1);
    start(
        TestApp.with(
            (request, connection) -> {
              connection.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
              await(answered);
              connection.send("{\"a\":1}");
              if (connection.in().read() < 0) {
                closed.countDown();
              }
              return false;
            }));
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("HEAD", "/"));
      assertThat(client.readHead().status()).isEqualTo(200);
      answered.countDown();
      assertThat(closed.await(10, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void aBodyThatIsAnnouncedAndMustNotBeThereIsNotWaitedFor() throws Exception {
    start(answering("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"));
    try (RawClient client = proxy.client()) {
      for (int i = 0; i < 2; i++) {
        client.send(RawClient.request("GET", "/"));
        assertThat(client.readHead().status()).isEqualTo(204);
      }
    }
    assertThat(app.connections()).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
      })
  void aTruncatedAnswerIsTruncatedForTheClientToo(String answer) throws Exception {
    start(
        TestApp.with(
            (request, connection) -> {
              connection.send(answer);
              return false;
            }));
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/"));
      assertThatThrownBy(client::read).isInstanceOf(IOException.class);
    }
  }

  @Test
  void anAnswerBeforeTheEndOfTheRequestReachesTheClient() throws Exception {
    start(
        TestApp.streaming(
            (request, connection) -> {
              connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
              return false;
            }));
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/", "Content-Length: 100000000") + "the beginning");
      HttpText answer = client.read();
      assertThat(answer.status()).isEqualTo(413);
      assertThat(answer.field("Connection")).isEqualTo("close");
      assertThat(client.isAtEnd()).isTrue();
    }
  }

  // ------------------------------------------------------------ keeping connections

  @Test
  void connectionsOfBothSidesAreKept() throws Exception {
    start(TestApp.echo());
    try (RawClient client = proxy.client()) {
      for (int i = 0; i < 20; i++) {
        assertThat(client.post("/" + i, "x").body()).isEqualTo("POST /" + i + " HTTP/1.1|x");
      }
    }
    assertThat(app.connections()).isOne();
  }

  @Test
  void pipelinedRequestsAreAnsweredInTheirOrder() throws Exception {
    start(TestApp.echo());
    try (RawClient client = proxy.client()) {
      StringBuilder all = new StringBuilder();
      for (int i = 0; i < 200; i++) {
        all.append(
            i % 3 == 0
                ? RawClient.request("POST", "/" + i, "Content-Length: 1") + "x"
                : RawClient.request("GET", i % 7 == 0 ? "/litefs/health" : "/" + i));
      }
      client.send(all.toString());
      for (int i = 0; i < 200; i++) {
        String expected =
            i % 3 == 0
                ? "POST /" + i + " HTTP/1.1|x"
                : i % 7 == 0 ? "OK\n" : "GET /" + i + " HTTP/1.1|";
        assertThat(client.read().body()).isEqualTo(expected);
      }
    }
  }

  @Test
  void connectionCloseIsHonoured() throws Exception {
    start(TestApp.echo());
    try (RawClient client = proxy.client()) {
      HttpText answer = client.get("/", "Connection: close");
      assertThat(answer.field("Connection")).isEqualTo("close");
      assertThat(client.isAtEnd()).isTrue();
    }
  }

  @Test
  void noMoreConnectionsThanAllowedGoToTheApplication() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    app =
        TestApp.with(
            (request, connection) -> {
              await(go);
              connection.send(TestApp.ok("x"));
              return true;
            });
    proxy = new TestProxy(app);
    proxy.maxUpstreams = 2;
    proxy.primary.self();
    proxy.start();
    RawClient[] clients = new RawClient[20];
    for (int i = 0; i < clients.length; i++) {
      clients[i] = proxy.client().send(RawClient.request("GET", "/" + i));
    }
    for (int i = 0; i < 2; i++) {
      app.received();
    }
    go.countDown();
    for (RawClient client : clients) {
      assertThat(client.read().status()).isEqualTo(200);
      client.close();
    }
    // Two per event loop, of which there are two at most.
    assertThat(app.connections()).isLessThanOrEqualTo(4);
  }

  private static void await(CountDownLatch latch) throws IOException {
    try {
      if (!latch.await(20, TimeUnit.SECONDS)) {
        throw new IOException("nobody opened the latch");
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  // ------------------------------------------------------------ what goes wrong

  /** Closes without an answer from the second request of a connection on. */
  private static TestApp forgetful() throws IOException {
    java.util.Set<Integer> seen = java.util.concurrent.ConcurrentHashMap.newKeySet();
    return TestApp.with(
        (request, connection) -> {
          if (!seen.add(connection.number())) {
            return false;
          }
          connection.send(TestApp.ok("connection " + connection.number()));
          return true;
        });
  }

  @Test
  void aReadIsSentAgainIfAKeptConnectionEndsWithoutAnAnswer() throws Exception {
    start(forgetful());
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/").body()).isEqualTo("connection 1");
      assertThat(client.get("/").body()).isEqualTo("connection 2");
    }
    assertThat(app.unseen()).isEqualTo(3);
  }

  @Test
  void aWriteIsNeverSentTwice() throws Exception {
    start(forgetful());
    try (RawClient client = proxy.client()) {
      assertThat(client.post("/", "x").body()).isEqualTo("connection 1");
      HttpText lost = client.post("/", "x");
      assertThat(lost.status()).isEqualTo(502);
      assertThat(lost.body()).contains("not known");
    }
    assertThat(app.unseen()).isEqualTo(2);
  }

  @Test
  void aReadIsSentAgainOnceOnly() throws Exception {
    start(
        TestApp.with(
            (request, connection) -> {
              if (request.target().equals("/first")) {
                connection.send(TestApp.ok(""));
                return true;
              }
              return false;
            }));
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/first").status()).isEqualTo(200);
      assertThat(client.get("/").status()).isEqualTo(502);
    }
    assertThat(app.unseen()).isEqualTo(3);
  }

  @Test
  void aTargetThatDoesNotListenYetIsWaitedFor() throws Exception {
    int port = RoutingTest.deadPort();
    proxy = new TestProxy(new Endpoint("localhost", port));
    proxy.primary.self();
    proxy.start();
    try (RawClient read = proxy.client();
        RawClient write = proxy.client()) {
      read.send(RawClient.request("GET", "/"));
      write.send(RawClient.request("POST", "/", "Content-Length: 4") + "text");
      app = TestApp.echo(port);
      assertThat(read.read().body()).isEqualTo("GET / HTTP/1.1|");
      assertThat(write.read().body()).isEqualTo("POST / HTTP/1.1|text");
    }
    assertThat(app.unseen()).isEqualTo(2);
  }

  @Test
  void aTargetThatNeverListensIsReported() throws Exception {
    proxy = new TestProxy(new Endpoint("127.0.0.1", RoutingTest.deadPort()));
    proxy.targetPatience = Duration.ofMillis(50);
    proxy.primary.self();
    proxy.start();
    try (RawClient client = proxy.client()) {
      HttpText answer = client.get("/");
      assertThat(answer.status()).isEqualTo(502);
      assertThat(answer.body()).contains("does not accept connections");
    }
  }

  @Test
  void aHostThatDoesNotExistIsReported() throws Exception {
    proxy = new TestProxy(new Endpoint("no-such-host.invalid", 80));
    proxy.targetPatience = Duration.ofMillis(1);
    proxy.primary.self();
    proxy.start();
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/").status()).isEqualTo(502);
    }
  }

  @Test
  void aClientThatLeavesTakesItsRequestAlong() throws Exception {
    CountDownLatch gone = new CountDownLatch(1);
    start(
        TestApp.with(
            (request, connection) -> {
              if (connection.in().read() < 0) {
                gone.countDown();
              }
              return false;
            }));
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/slow"));
      app.received();
    }
    assertThat(gone.await(20, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void anAnswerThatTakesTooLongIsCutOffIfTheConfigurationSaysSo() throws Exception {
    CountDownLatch never = new CountDownLatch(1);
    app =
        TestApp.with(
            (request, connection) -> {
              await(never);
              return false;
            });
    proxy = new TestProxy(app);
    proxy.writeTimeout = Duration.ofMillis(100);
    proxy.primary.self();
    proxy.start();
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/").status()).isEqualTo(504);
      assertThat(client.isAtEnd()).isTrue();
    } finally {
      never.countDown();
    }
  }

  @Test
  void aPortInUseIsNamed() throws Exception {
    app = TestApp.echo();
    try (ServerSocket taken = new ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
      TestProxy second = new TestProxy(app);
      second.listenPort = taken.getLocalPort();
      assertThatThrownBy(second::start)
          .isInstanceOf(IOException.class)
          .hasMessage(
              "cannot listen on 127.0.0.1:"
                  + taken.getLocalPort()
                  + ": another process uses this port");
      second.close();
    }
  }
}

package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.replication.RawClient.Answer;
import io.netty.handler.codec.http2.Http2Headers;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(30)
class ApiServerTest {
  private static final String GET = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n";

  private final TestServer server = new TestServer();
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  @AfterEach
  void stop() {
    server.close();
  }

  private HttpResponse<String> get(String path) throws Exception {
    return http.send(HttpRequest.newBuilder(server.uri(path)).build(), BodyHandlers.ofString());
  }

  private Http2Headers post2(StreamConnection connection, String path) throws IOException {
    return connection.post(path, Map.of(), new byte[0]);
  }

  @Test
  void requestReachesItsHandler() throws Exception {
    server
        .route(
            "GET /info",
            x ->
                x.respondText(
                    200,
                    String.join(
                        " ",
                        x.method(),
                        x.path(),
                        x.query("name").orElse("-"),
                        x.query("none").orElse("-"),
                        x.header("x-TEST").orElse("-"),
                        Boolean.toString(x.isHttp2()),
                        Thread.currentThread().getName().replaceAll("[0-9]+", "N"))))
        .start();
    HttpRequest request =
        HttpRequest.newBuilder(server.uri("/info?name=a%20b.db&name=c"))
            .header("X-Test", "y")
            .build();

    HttpResponse<String> answer = http.send(request, BodyHandlers.ofString());

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo("GET /info a b.db - y false litefs-api-worker-N\n");
    assertThat(answer.headers().firstValue("content-type")).hasValue("text/plain; charset=utf-8");
    assertThat(answer.headers().firstValue("date")).isPresent();
  }

  @Test
  void http2WithPriorKnowledgeReachesTheSameHandlers() throws Exception {
    server
        .route(
            "POST /info",
            x -> x.respondText(200, x.isHttp2() + " " + x.query("a").orElse("") + x.header("Host")))
        .start();
    try (StreamConnection connection = server.http2()) {
      Http2Headers head = post2(connection, "/info?a=b");

      assertThat(StreamConnection.status(head)).isEqualTo(200);
      assertThat(head.get("litefs-id")).hasToString("00000000000000AA");
      assertThat(connection.body().readAllBytes())
          .asString()
          .isEqualTo("true bOptional[127.0.0.1:" + server.port() + "]\n");
    }
  }

  @Test
  void commonHeadersAreEverywhereButOnMetricsAndDebug() throws Exception {
    server
        .route("GET /info", x -> x.respondText(200, ""))
        .route("GET /metrics", x -> x.respondText(200, ""))
        .route("GET /debug/threads", x -> x.respondText(200, ""))
        .start();

    for (String path : new String[] {"/info", "/nothing"}) {
      assertThat(get(path).headers().firstValue("litefs-id")).hasValue("00000000000000AA");
      assertThat(get(path).headers().firstValue("litefs-cluster-id"))
          .hasValue("LFSC00000000000000CC");
    }
    for (String path : new String[] {"/metrics", "/debug/threads", "/debug/none"}) {
      assertThat(get(path).headers().firstValue("litefs-id")).isEmpty();
    }
  }

  @Test
  void unknownPathIs404AndWrongMethod405() throws Exception {
    server.route("GET /info", x -> {}).route("DELETE /info", x -> {}).start();

    assertThat(get("/stream").statusCode()).isEqualTo(404);
    assertThat(get("/stream").body()).isEqualTo("no such page: /stream\n");
    HttpResponse<String> wrong =
        http.send(
            HttpRequest.newBuilder(server.uri("/info"))
                .POST(BodyPublishers.ofString("x".repeat(100_000)))
                .build(),
            BodyHandlers.ofString());
    assertThat(wrong.statusCode()).isEqualTo(405);
    assertThat(wrong.headers().firstValue("allow")).hasValue("DELETE, GET");
    try (StreamConnection connection = server.http2()) {
      assertThat(StreamConnection.status(post2(connection, "/info"))).isEqualTo(405);
    }
    try (StreamConnection connection = server.http2()) {
      assertThat(StreamConnection.status(post2(connection, "/none"))).isEqualTo(404);
    }
  }

  @Test
  void headHasTheHeadersOfGetAndNoBody() throws Exception {
    CountDownLatch closed = new CountDownLatch(1);
    server
        .route("GET /info", x -> x.respondText(200, "hello"))
        .route(
            "GET /events",
            x -> {
              x.onClose(closed::countDown);
              OutputStream out = x.respond(200, null, -1);
              while (true) {
                out.write(new byte[1000]);
              }
            })
        .start();
    try (RawClient client = server.raw()) {
      client.send("HEAD /info HTTP/1.1\r\nHost: x\r\n\r\n");
      assertThat(client.head().headers()).containsEntry("content-length", "6");
      client.send("HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n" + String.format(GET, "/info"));
      assertThat(client.head().status()).isEqualTo(200);
      assertThat(client.answer().body()).isEqualTo("hello\n");
    }
    assertThat(closed.await(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void connectionIsKeptAndPipelinedRequestsAreAnsweredInOrder() throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    server
        .route(
            "GET /slow",
            x -> {
              await(release);
              x.respondText(200, "slow");
            })
        .route("GET /fast", x -> x.respondText(200, "fast"))
        .start();
    try (RawClient client = server.raw()) {
      client.send(String.format(GET, "/slow") + String.format(GET, "/fast").repeat(50));
      release.countDown();
      assertThat(client.answer().body()).isEqualTo("slow\n");
      for (int i = 0; i < 50; i++) {
        assertThat(client.answer().body()).isEqualTo("fast\n");
      }
      assertThat(client.send(String.format(GET, "/none")).answer().status()).isEqualTo(404);
    }
  }

  @Test
  void oldAndClosingClientsGetTheirConnectionClosed() throws Exception {
    server
        .route("GET /known", x -> x.respondText(200, "known"))
        .route(
            "GET /unknown",
            x -> x.respond(200, null, -1).write("some".getBytes(StandardCharsets.US_ASCII)))
        .start();
    try (RawClient client = server.raw().send("GET /unknown HTTP/1.0\r\n\r\n")) {
      Answer head = client.head();
      assertThat(head.headers()).doesNotContainKey("transfer-encoding");
      assertThat(client.in().readAllBytes()).asString().isEqualTo("some");
    }
    try (RawClient client =
        server.raw().send("GET /known HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) {
      assertThat(client.answer().headers()).containsEntry("connection", "close");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void clientIsToldToContinueOnlyWhenTheBodyIsWanted() throws Exception {
    server
        .route("POST /take", x -> x.respondText(200, new String(x.body().readAllBytes(), "UTF-8")))
        .route("POST /refuse", x -> x.respondText(503, "not now"))
        .start();
    String head =
        "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    try (RawClient client = server.raw().send(String.format(head, "/take"))) {
      assertThat(client.head().status()).isEqualTo(100);
      assertThat(client.send("hello").answer().body()).isEqualTo("hello\n");
      assertThat(client.send(String.format(head, "/refuse")).answer().status()).isEqualTo(503);
      assertThat(client.isClosedByServer()).isTrue();
    }
    try (RawClient client =
        server.raw().send("POST /take HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n")) {
      assertThat(client.answer().status()).isEqualTo(417);
    }
  }

  @Test
  void connectionSurvivesASmallBodyThatNobodyRead() throws Exception {
    server.route("POST /refuse", x -> x.respondText(503, "not now")).start();
    try (RawClient client = server.raw()) {
      for (int i = 0; i < 3; i++) {
        client.send("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n");
        client.send("x".repeat(50000));
        assertThat(client.answer().status()).isEqualTo(503);
      }
    }
  }

  @Test
  void earlyAnswerArrivesThoughTheBodyIsHuge() throws Exception {
    server.route("POST /refuse", x -> x.respondText(503, "not now")).start();
    try (RawClient client = server.raw()) {
      client.send("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
      Thread sender =
          new Thread(
              () -> {
                try {
                  for (int i = 0; i < 1000; i++) {
                    client.socket.getOutputStream().write(new byte[100_000]);
                  }
                } catch (IOException e) {
                  // The server has heard enough.
                }
              });
      sender.start();
      assertThat(client.answer().body()).isEqualTo("not now\n");
      sender.join();
    }
  }

  @Test
  void earlyAnswerArrivesOverHttp2AndTheRestIsNotWanted() throws Exception {
    server.route("POST /refuse", x -> x.respondText(503, "not now")).start();
    try (StreamConnection connection = server.http2()) {
      Http2Headers head = connection.post("/refuse", Map.of(), new byte[10_000_000]);
      assertThat(StreamConnection.status(head)).isEqualTo(503);
      assertThat(connection.body().readAllBytes()).asString().isEqualTo("not now\n");
    }
  }

  @Test
  void http2PeerThatVanishesIsNoticed() throws Exception {
    server.options(TestServer.options(Duration.ofMillis(50), 10)).start();
    String emptySettings = "\0\0\0\4\0\0\0\0\0";
    try (RawClient client = server.raw().send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + emptySettings)) {
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void http2PeerThatOnlyWaitsIsNotTakenForGone() throws Exception {
    CountDownLatch never = new CountDownLatch(1);
    server
        .options(TestServer.options(Duration.ofMillis(50), 10))
        .route(
            "POST /slow",
            x -> {
              try {
                assertThat(never.await(400, TimeUnit.MILLISECONDS)).isFalse();
              } catch (InterruptedException e) {
                throw new IOException(e);
              }
              x.respondText(200, "done");
            })
        .start();
    try (StreamConnection connection = server.http2()) {
      assertThat(StreamConnection.status(post2(connection, "/slow"))).isEqualTo(200);
    }
  }

  @Test
  void malformedAndOversizedRequestsAreRefused() throws Exception {
    server.start();
    Map<String, Integer> requests =
        Map.of(
            "GET /" + "x".repeat(9000) + " HTTP/1.1\r\n\r\n",
            414,
            "GET / HTTP/1.1\r\nX: " + "x".repeat(17000) + "\r\n\r\n",
            431,
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            400,
            "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "rubbish\r\n\r\n",
            400,
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400);
    for (Map.Entry<String, Integer> request : requests.entrySet()) {
      try (RawClient client = server.raw().send(request.getKey())) {
        Answer answer = client.answer();
        assertThat(answer.status()).as(request.getKey()).isEqualTo(request.getValue());
        assertThat(answer.body()).endsWith("\n");
      }
    }
  }

  @Test
  void oversizedHttp2HeadersAreRefused() throws Exception {
    server.route("POST /info", x -> x.respondText(200, "")).start();
    try (StreamConnection connection = server.http2()) {
      Map<String, String> large = Map.of("x", "x".repeat(20_000));
      assertThatThrownBy(
              () -> {
                Http2Headers head = connection.post("/info", large, new byte[0]);
                throw new IOException("status " + StreamConnection.status(head));
              })
          .isInstanceOf(IOException.class)
          .message()
          .doesNotContain("status 200");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "GET / HT", "PRI", "PRI * HTTP/2.0\r\n"})
  void connectionWithoutACompleteHeaderIsClosed(String beginning) throws Exception {
    server.options(TestServer.options(Duration.ofMillis(50), 10)).start();
    try (RawClient client = server.raw().send(beginning)) {
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void uploadThatStopsFailsInTheHandler() throws Exception {
    CompletableFuture<String> failure = new CompletableFuture<>();
    server
        .options(TestServer.options(Duration.ofMillis(50), 10))
        .route("POST /import", x -> failure.complete(failureOf(() -> x.body().readAllBytes())))
        .start();
    try (RawClient client =
        server.raw().send("POST /import HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")) {
      assertThat(failure.get(10, TimeUnit.SECONDS)).isEqualTo("nothing received for 50 ms");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void clientThatGoesAwayIsNoticedByAReaderAndByAnIdleHandler() throws Exception {
    CompletableFuture<String> failure = new CompletableFuture<>();
    CountDownLatch closed = new CountDownLatch(1);
    server
        .route("POST /import", x -> failure.complete(failureOf(() -> x.body().readAllBytes())))
        .route(
            "POST /wait",
            x -> {
              x.onClose(closed::countDown);
              x.respond(200, null, -1).flush();
              await(closed);
            })
        .start();
    try (RawClient client =
        server.raw().send("POST /import HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")) {
      client.socket.shutdownOutput();
      assertThat(failure.get(10, TimeUnit.SECONDS)).isEqualTo("client has gone away");
    }
    for (boolean http2 : new boolean[] {false, true}) {
      if (http2) {
        try (StreamConnection connection = server.http2()) {
          post2(connection, "/wait");
        }
      } else {
        try (RawClient client =
            server.raw().send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")) {
          client.head();
        }
      }
      assertThat(closed.await(10, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void exceptionBeforeTheAnswerIsA500WithItsMessage() throws Exception {
    server
        .route(
            "GET /io",
            x -> {
              throw new IOException("disk\nis full");
            })
        .route(
            "GET /bug",
            x -> {
              throw new IllegalStateException();
            })
        .route("GET /silent", x -> {})
        .start();

    assertThat(get("/io").statusCode()).isEqualTo(500);
    assertThat(get("/io").body()).isEqualTo("disk is full\n");
    assertThat(get("/bug").body()).isEqualTo("java.lang.IllegalStateException\n");
    assertThat(get("/silent").statusCode()).isEqualTo(500);
  }

  @Test
  void incompleteAnswerLooksIncomplete() throws Exception {
    Exchange.Handler fails =
        x -> {
          x.respond(200, null, -1).write(new byte[100]);
          throw new IOException("half way");
        };
    Exchange.Handler shorter = x -> x.respond(200, null, 1000).write(new byte[100]);
    server
        .route("GET /fails", fails)
        .route("POST /fails", fails)
        .route("GET /shorter", shorter)
        .route("POST /shorter", shorter)
        .start();
    for (String path : new String[] {"/fails", "/shorter"}) {
      assertThatThrownBy(() -> get(path)).isInstanceOf(IOException.class);
      try (StreamConnection connection = server.http2()) {
        assertThatThrownBy(
                () -> {
                  post2(connection, path);
                  connection.body().readAllBytes();
                })
            .isInstanceOf(IOException.class)
            .hasMessageContaining("broke the stream off");
      }
    }
  }

  @Test
  void answerLongerThanAnnouncedFailsInTheHandler() throws Exception {
    CompletableFuture<String> failure = new CompletableFuture<>();
    server
        .route(
            "GET /",
            x -> {
              OutputStream out = x.respond(200, null, 10);
              failure.complete(failureOf(() -> out.write(new byte[11])));
              out.write(new byte[10]);
            })
        .start();

    assertThat(get("/").body()).hasSize(10);
    assertThat(failure.get()).isEqualTo("more than the announced 10 bytes were written");
  }

  @Test
  void otherThreadCanAbortAnExchange() throws Exception {
    CompletableFuture<String> failure = new CompletableFuture<>();
    server
        .route(
            "POST /wait",
            x -> {
              x.respond(200, null, -1).flush();
              new Thread(() -> x.abort("enough")).start();
              failure.complete(failureOf(() -> x.body().readAllBytes()));
            })
        .start();
    try (RawClient client =
        server.raw().send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")) {
      assertThat(failure.get(10, TimeUnit.SECONDS)).isEqualTo("enough");
      client.head();
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void requestsBeyondTheLimitAre503() throws Exception {
    Semaphore running = new Semaphore(0);
    CountDownLatch release = new CountDownLatch(1);
    server
        .options(TestServer.options(Duration.ofSeconds(10), 2))
        .route(
            "GET /wait",
            x -> {
              running.release();
              await(release);
              x.respondText(200, "");
            })
        .start();
    try (RawClient a = server.raw().send(String.format(GET, "/wait"));
        RawClient b = server.raw().send(String.format(GET, "/wait"))) {
      running.acquire(2);
      assertThat(get("/wait").statusCode()).isEqualTo(503);
      release.countDown();
      assertThat(a.answer().status()).isEqualTo(200);
      assertThat(b.answer().status()).isEqualTo(200);
    }
  }

  @Test
  void connectionsWaitUntilTheServerAnswers() throws Exception {
    AtomicBoolean ready = new AtomicBoolean();
    InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    try (ApiServer waiting =
        new ApiServer(
            any, Map.of("GET /info", x -> x.respondText(200, "ready: " + ready)), Map::of)) {
      waiting.bind();
      HttpRequest request =
          HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + waiting.port() + "/info"))
              .build();
      CompletableFuture<HttpResponse<String>> answer =
          http.sendAsync(request, BodyHandlers.ofString());
      try (RawClient connected = new RawClient(waiting.port())) {
        ready.set(true);
        waiting.answer();
        assertThat(answer.join().body()).isEqualTo("ready: true\n");
        assertThat(connected.send(GET.formatted("/info")).answer().status()).isEqualTo(200);
      }
    }
  }

  @Test
  void occupiedPortIsSaidInOneLine() throws Exception {
    server.start();
    InetSocketAddress address =
        new InetSocketAddress(InetAddress.getLoopbackAddress(), server.port());
    try (ApiServer second = new ApiServer(address, Map.of(), Map::of)) {
      assertThatThrownBy(second::start)
          .isInstanceOf(IOException.class)
          .hasMessage(
              "cannot listen on 127.0.0.1:" + server.port() + ": another process uses this port");
    }
    InetSocketAddress nowhere = InetSocketAddress.createUnresolved("no.such.host.invalid", 1);
    try (ApiServer third = new ApiServer(nowhere, Map.of(), Map::of)) {
      assertThatThrownBy(third::start)
          .hasMessage("cannot listen on no.such.host.invalid:1: unknown host");
    }
  }

  @Test
  void closeBreaksOffWhatDoesNotEndByItself() throws Exception {
    CompletableFuture<String> failure = new CompletableFuture<>();
    CountDownLatch reading = new CountDownLatch(1);
    server
        .options(TestServer.options(Duration.ofSeconds(10), 10))
        .route(
            "POST /import",
            x -> {
              reading.countDown();
              failure.complete(failureOf(() -> x.body().readAllBytes()));
            })
        .start();
    try (RawClient idle = server.raw().send(String.format(GET, "/none"));
        RawClient client =
            server.raw().send("POST /import HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")) {
      assertThat(idle.answer().status()).isEqualTo(404);
      assertThat(client.send("d").socket.isConnected()).isTrue();
      reading.await();
      server.stop();
      assertThat(failure.get(10, TimeUnit.SECONDS))
          .isIn("server is closing", "client has gone away");
      assertThat(idle.isClosedByServer()).isTrue();
      assertThat(client.isClosedByServer()).isTrue();
    }
    server.stop();
  }

  @FunctionalInterface
  private interface Action {
    void run() throws IOException;
  }

  private static String failureOf(Action action) {
    try {
      action.run();
      return "no failure";
    } catch (IOException e) {
      return e.getMessage();
    }
  }

  private static void await(CountDownLatch latch) throws IOException {
    try {
      assertThat(latch.await(10, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }
}

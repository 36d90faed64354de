package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.handler.codec.http2.Http2Headers;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Streams that must not come about, and streams that go wrong. */
@Timeout(30)
class StreamRefusalTest {
  private static final long PRIMARY = 0xaa;
  private static final long REPLICA = 0xbb;
  private static final Duration LONG = Duration.ofSeconds(10);

  private final FakeSource source = new FakeSource().commits("a.db", 2);
  private final FakeSink sink = new FakeSink();
  private final StreamHandler handler =
      new StreamHandler(source, PRIMARY, () -> null, StreamHandler.Options.DEFAULTS);
  private final TestServer server = new TestServer();

  @AfterEach
  void stop() {
    handler.close();
    server.close();
  }

  private void start(Exchange.Handler stream) throws IOException {
    server.route("POST /stream", stream).start();
  }

  private void runOnce(long id, Duration timeouts) throws IOException {
    StreamClient.Options options =
        new StreamClient.Options(LONG, LONG, LONG, timeouts, timeouts, 65535);
    try (StreamClient client = new StreamClient(server.uri(), id, Set.of(), sink, options)) {
      client.runOnce();
    }
  }

  private String post(String id, byte[] body) throws IOException {
    try (StreamConnection connection = server.http2()) {
      Map<String, String> headers = id == null ? Map.of() : Map.of("litefs-id", id);
      Http2Headers head = connection.post("/stream", headers, body);
      return StreamConnection.status(head)
          + " "
          + new String(connection.body().readAllBytes(), StandardCharsets.UTF_8).strip();
    }
  }

  /** Answers as a primary does, then sends {@code bytes}, then ends the body or breaks it off. */
  private static Exchange.Handler scripted(byte[] bytes, boolean breakOff) {
    return x -> {
      x.setHeader("Litefs-Id", "00000000000000AA");
      OutputStream out = x.respond(200, null, -1);
      out.write(bytes);
      out.flush();
      if (breakOff) {
        throw new IOException("broken off");
      }
    };
  }

  private static byte[] ltxFrame(int announced, int sent) {
    ByteBuffer frame = ByteBuffer.allocate(16 + 4 + 2 + sent);
    frame.putInt(1).putLong(0).putInt(4).put("a.db".getBytes(StandardCharsets.US_ASCII));
    frame.putShort((short) announced);
    frame.put(new FakeSource.FakeFile(null, FakeSource.pos("a.db", 9), announced).head());
    return frame.array();
  }

  @Test
  void http1IsToldToUpgrade() throws Exception {
    start(handler);
    HttpRequest request =
        HttpRequest.newBuilder(server.uri("/stream")).POST(BodyPublishers.noBody()).build();
    HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    HttpResponse<String> answer = http.send(request, BodyHandlers.ofString());

    assertThat(answer.statusCode()).isEqualTo(426);
    assertThat(answer.headers().firstValue("upgrade")).hasValue("h2c");
  }

  @Test
  void ownIdIsRefused() throws Exception {
    start(handler);

    assertThat(post("00000000000000AA", new byte[4]))
        .isEqualTo("400 node 00000000000000AA cannot replicate from itself");
    assertThatThrownBy(() -> runOnce(PRIMARY, LONG))
        .isInstanceOf(StreamRefusedException.class)
        .hasMessage(
            "it refuses the stream: 400 node 00000000000000AA cannot replicate from itself");
    assertThat(sink.events).isEmpty();
  }

  @Test
  void missingOrMalformedIdIsRefused() throws Exception {
    start(handler);
    String expected = "400 Litefs-Id must be 16 hex digits";

    assertThat(post(null, new byte[4])).isEqualTo(expected);
    assertThat(post("12", new byte[4])).isEqualTo(expected);
    assertThat(post("zz000000000000AA", new byte[4])).isEqualTo(expected);
  }

  @Test
  void malformedPositionMapIsRefused() throws Exception {
    start(handler);
    byte[] huge = {(byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff};

    assertThat(post("00000000000000BB", huge)).startsWith("400 position map has 4294967295");
    assertThat(post("00000000000000BB", new byte[2])).startsWith("400 input ends within count");
  }

  @Test
  void nodeThatIsNotPrimaryAnswers503() throws Exception {
    source.demote();
    start(handler);

    assertThat(post("00000000000000BB", new byte[4])).isEqualTo("503 this node is not the primary");
    assertThatThrownBy(() -> runOnce(REPLICA, LONG))
        .isInstanceOf(IOException.class)
        .isNotInstanceOf(StreamRefusedException.class)
        .hasMessage("it answers 503 this node is not the primary");
  }

  @Test
  void replicaOfAnotherClusterRefusesTheStream() throws Exception {
    start(handler);
    sink.refusal = new StreamRefusedException("cluster LFSC1 is not LFSC2");

    assertThatThrownBy(() -> runOnce(REPLICA, LONG)).isSameAs(sink.refusal);
    assertThat(sink.events).isEmpty();
  }

  @Test
  void refusalIsTriedAgainAndGoesAwayWithItsReason() throws Exception {
    start(handler);
    sink.refusal = new StreamRefusedException("cluster LFSC1 is not LFSC2");
    Duration fast = Duration.ofMillis(10);
    StreamClient.Options options = new StreamClient.Options(LONG, fast, LONG, LONG, LONG, 65535);
    try (StreamClient client = new StreamClient(server.uri(), REPLICA, Set.of(), sink, options)) {
      client.start();
      while (client.problem().isEmpty()) {
        Thread.yield();
      }
      assertThat(client.problem()).hasValue("cluster LFSC1 is not LFSC2");
      sink.refusal = null;
      sink.await("ready");
      assertThat(client.problem()).isEmpty();
    }
  }

  @Test
  void serverThatIsNoLitefsNodeIsRefused() throws Exception {
    server.route("GET /", x -> {}).start();

    assertThatThrownBy(() -> runOnce(REPLICA, LONG))
        .isInstanceOf(StreamRefusedException.class)
        .hasMessage("it refuses the stream: 404 no such page: /stream");
  }

  @Test
  void serverWithoutHttp2IsSaidToBeSuch() throws Exception {
    try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      Thread http1 =
          new Thread(
              () -> {
                try (Socket socket = listener.accept()) {
                  byte[] answer =
                      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".getBytes();
                  socket.getOutputStream().write(answer);
                  socket.getInputStream().transferTo(OutputStream.nullOutputStream());
                } catch (IOException e) {
                  // The client has seen enough.
                }
              });
      http1.start();
      URI uri = URI.create("http://127.0.0.1:" + listener.getLocalPort());
      try (StreamClient client = new StreamClient(uri, REPLICA, Set.of(), sink, LONG)) {
        assertThatThrownBy(client::runOnce)
            .isInstanceOf(IOException.class)
            .hasMessage("127.0.0.1:" + listener.getLocalPort() + " does not speak HTTP/2");
      }
      http1.join();
    }
  }

  @Test
  void unreachablePrimaryIsSaidInOneLine() throws Exception {
    start(handler);
    int port = server.port();
    server.stop();

    assertThatThrownBy(() -> runOnce(REPLICA, LONG))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "cannot connect to 127.0.0.1:"
                + port
                + ": Connection refused (if it runs, its lease.advertise-url must lead to it from here)");
  }

  @Test
  void clientWaitsForAPrimaryThatIsNotThereYet() throws Exception {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    URI uri = URI.create("http://127.0.0.1:" + port);
    try (StreamClient client =
        new StreamClient(uri, REPLICA, Set.of(), sink, Duration.ofMillis(10))) {
      client.start();
      while (client.problem().isEmpty()) {
        Thread.yield();
      }
      server.route("POST /stream", handler).start(port);
      sink.await("ready");
    }
  }

  @Test
  void urlsOfAnotherFormAreRefused() {
    for (String url : new String[] {"https://host:1", "host:20202", "http:///stream"}) {
      assertThatThrownBy(() -> new StreamClient(URI.create(url), 1, Set.of(), sink, LONG).close())
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(url);
    }
  }

  @Test
  void streamThatBreaksOffWithinAFileChangesNothing() throws Exception {
    start(scripted(ltxFrame(5000, 500), true));

    assertThatThrownBy(() -> runOnce(REPLICA, LONG)).isInstanceOf(IOException.class);
    assertThat(sink.positions).isEmpty();
    assertThat(sink.next()).startsWith("connected");
    assertThat(sink.next()).startsWith("disconnected: 127.0.0.1:").endsWith("broke the stream off");
  }

  @Test
  void bodyThatEndsWithinAFileChangesNothing() throws Exception {
    start(scripted(ltxFrame(5000, 500), false));

    assertThatThrownBy(() -> runOnce(REPLICA, LONG))
        .hasMessage("input ends within the LTX file of a.db");
    assertThat(sink.positions).isEmpty();
  }

  @Test
  void bodyWithoutAnEndFrameIsNoOrderlyEnd() throws Exception {
    start(scripted(new byte[] {0, 0, 0, 2}, false));

    assertThatThrownBy(() -> runOnce(REPLICA, LONG))
        .hasMessage("the stream stopped without an end frame");
    sink.await("ready");
  }

  @Test
  void oversizedLengthEndsTheStream() throws Exception {
    start(scripted(ByteBuffer.allocate(8).putInt(4).putInt(Integer.MAX_VALUE).array(), false));

    assertThatThrownBy(() -> runOnce(REPLICA, LONG))
        .isInstanceOf(StreamFormatException.class)
        .hasMessageContaining("has length 2147483647");
  }

  @Test
  void silentPrimaryCountsAsDead() throws Exception {
    start(
        x -> {
          scripted(new byte[] {0, 0, 0, 2}, false).handle(x);
          x.body().read();
          CountDownLatch gone = new CountDownLatch(1);
          x.onClose(gone::countDown);
          try {
            gone.await(10, TimeUnit.SECONDS);
          } catch (InterruptedException e) {
            throw new IOException(e);
          }
        });

    assertThatThrownBy(() -> runOnce(REPLICA, Duration.ofMillis(50)))
        .isInstanceOf(IOException.class)
        .hasMessage("primary is silent: nothing received for 50 ms");
    sink.await("disconnected: primary is silent: nothing received for 50 ms");
  }

  @Test
  void sinkThatFailsEndsTheStream() throws Exception {
    start(handler);
    sink.failure = new IOException("disk is full");

    assertThatThrownBy(() -> runOnce(REPLICA, LONG)).isSameAs(sink.failure);
    sink.await("disconnected: disk is full");
  }
}

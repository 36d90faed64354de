package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.PooledByteBufAllocator;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Bodies larger than any buffer, both ways, over both protocols. */
@Timeout(30)
class BodyFlowTest {
  private static final int SIZE = 8_000_000;

  /** More than this server's own buffers for one body; kernel buffers are counted apart. */
  private static final long OWN_BUFFERS = 1_000_000;

  /** What the kernel may buffer for both ends of a loopback connection. */
  private static final long KERNEL_BUFFERS = 16_000_000;

  private static final int ENDLESS = 200_000_000;

  private final byte[] content = new byte[SIZE];
  private final TestServer server = new TestServer();

  BodyFlowTest() {
    new Random(5).nextBytes(content);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private static String crcOf(InputStream in) throws IOException {
    CheckedInputStream checked = new CheckedInputStream(in, new CRC32());
    byte[] buffer = new byte[10_000];
    long length = 0;
    for (int n = checked.read(buffer); n >= 0; n = checked.read(buffer)) {
      length += n;
    }
    return length + " " + checked.getChecksum().getValue();
  }

  private String expected() throws IOException {
    return crcOf(new ByteArrayInputStream(content));
  }

  private void writeContent(Exchange exchange) throws IOException {
    try (OutputStream out = exchange.respond(200, "application/octet-stream", -1)) {
      for (int at = 0; at < SIZE; at += 7777) {
        out.write(content, at, Math.min(7777, SIZE - at));
      }
    }
  }

  @Test
  void largeBodiesPassOverHttp1() throws Exception {
    server
        .route("POST /up", x -> x.respondText(200, crcOf(x.body())))
        .route("GET /down", this::writeContent)
        .start();
    HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    for (boolean chunked : new boolean[] {true, false}) {
      HttpRequest up =
          HttpRequest.newBuilder(server.uri("/up"))
              .POST(
                  chunked
                      ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(content))
                      : BodyPublishers.ofByteArray(content))
              .build();
      assertThat(http.send(up, BodyHandlers.ofString()).body()).isEqualTo(expected() + "\n");
    }
    HttpResponse<InputStream> down =
        http.send(
            HttpRequest.newBuilder(server.uri("/down")).build(), BodyHandlers.ofInputStream());
    assertThat(crcOf(down.body())).isEqualTo(expected());
  }

  @Test
  void largeBodiesPassOverHttp2() throws Exception {
    server
        .route("POST /up", x -> x.respondText(200, crcOf(x.body())))
        .route("POST /down", this::writeContent)
        .start();
    try (StreamConnection connection = server.http2()) {
      connection.post("/up", Map.of(), content);
      assertThat(connection.body().readAllBytes())
          .asString(StandardCharsets.UTF_8)
          .isEqualTo(expected() + "\n");
    }
    try (StreamConnection connection = server.http2()) {
      connection.post("/down", Map.of(), new byte[0]);
      assertThat(crcOf(connection.body())).isEqualTo(expected());
    }
  }

  @Test
  void bodyThatNobodyReadsStaysWithTheClient() throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    server
        .route(
            "POST /up",
            x -> {
              await(release);
              x.respondText(200, crcOf(x.body()));
            })
        .start();
    long before = usedDirect();
    try (SocketChannel client = SocketChannel.open();
        Selector selector = Selector.open()) {
      client.connect(new InetSocketAddress("127.0.0.1", server.port()));
      String head = "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: " + ENDLESS + "\r\n\r\n";
      client.write(ByteBuffer.wrap(head.getBytes(StandardCharsets.US_ASCII)));
      client.configureBlocking(false);
      client.register(selector, SelectionKey.OP_WRITE);
      long written = 0;
      while (written < ENDLESS && selector.select(300) > 0) {
        selector.selectedKeys().clear();
        written += client.write(ByteBuffer.allocate(100_000));
      }
      assertThat(written).isLessThan(KERNEL_BUFFERS + OWN_BUFFERS);
      assertThat(usedDirect() - before).isLessThan(OWN_BUFFERS);
    }
    release.countDown();
  }

  @Test
  void handlerIsHeldOffByAnHttp1ClientThatDoesNotRead() throws Exception {
    AtomicLong written = new AtomicLong();
    CountDownLatch tooFar = new CountDownLatch(1);
    server.route("GET /down", x -> writeEndlessly(x, written, tooFar, KERNEL_BUFFERS)).start();
    try (RawClient client = server.raw()) {
      client.send("GET /down HTTP/1.1\r\nHost: x\r\n\r\n");
      client.head();
      assertThat(tooFar.await(300, TimeUnit.MILLISECONDS)).isFalse();
      assertThat(written.get()).isPositive();
    }
  }

  @Test
  void handlerIsHeldOffByTheHttp2Window() throws Exception {
    AtomicLong written = new AtomicLong();
    CountDownLatch tooFar = new CountDownLatch(1);
    long bound = 65535 + BodyOutput.IN_FLIGHT + 2 * BodyOutput.BUFFER;
    server.route("POST /down", x -> writeEndlessly(x, written, tooFar, bound)).start();
    try (StreamConnection connection = server.http2()) {
      connection.post("/down", Map.of(), new byte[0]);
      assertThat(tooFar.await(300, TimeUnit.MILLISECONDS)).isFalse();
      assertThat(connection.body().readNBytes(1_000_000)).hasSize(1_000_000);
    }
  }

  private static void writeEndlessly(
      Exchange exchange, AtomicLong written, CountDownLatch tooFar, long bound) throws IOException {
    OutputStream out = exchange.respond(200, null, -1);
    byte[] piece = new byte[10_000];
    while (true) {
      out.write(piece);
      if (written.addAndGet(piece.length) > bound) {
        tooFar.countDown();
      }
    }
  }

  private static long usedDirect() {
    return ((PooledByteBufAllocator) Buffers.ALLOCATOR).metric().usedDirectMemory();
  }

  private static void await(CountDownLatch latch) throws IOException {
    try {
      latch.await(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }
}

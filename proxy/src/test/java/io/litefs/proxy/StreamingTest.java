package io.litefs.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Bodies flow, both ways, and as fast as the slower side takes them. */
class StreamingTest {

  private static final int PIECE = 1 << 16;

  /** Far more than all buffers between the two ends. */
  private static final long LARGE = 1L << 30;

  private TestApp app;
  private TestProxy proxy;

  @AfterEach
  void stop() throws IOException {
    proxy.close();
    app.close();
  }

  private void start(TestApp.Behaviour behaviour) throws IOException {
    app = TestApp.streaming(behaviour);
    proxy = TestProxy.onPrimary(app);
  }

  private static byte[] piece(int seed) {
    byte[] bytes = new byte[PIECE];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  /** What the proxy's connections have of direct memory now. */
  private static long memory() {
    return ((io.netty.buffer.PooledByteBufAllocator) Buffers.ALLOCATOR).metric().usedDirectMemory();
  }

  private static void assertFlat(long before) {
    assertThat(memory() - before).isLessThan(8 << 20);
  }

  @Test
  void aGigabyteUpTakesNoMemory() throws Exception {
    start(
        (request, connection) -> {
          long length = Long.parseLong(request.field("Content-Length"));
          byte[] expected = piece(1);
          for (long at = 0; at < length; at += PIECE) {
            if (!Arrays.equals(HttpText.exactly(connection.in(), PIECE), expected)) {
              throw new IOException("other bytes at " + at);
            }
          }
          connection.send(TestApp.ok("received " + length));
          return true;
        });
    long before = memory();
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/", "Content-Length: " + LARGE));
      byte[] bytes = piece(1);
      for (long at = 0; at < LARGE; at += PIECE) {
        client.send(bytes);
        if (at % (64 << 20) == 0) {
          assertFlat(before);
        }
      }
      assertThat(client.read().body()).isEqualTo("received " + LARGE);
    }
    assertFlat(before);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aGigabyteDownTakesNoMemory(boolean chunked) throws Exception {
    long size = chunked ? LARGE / 8 : LARGE;
    start(
        (request, connection) -> {
          connection.send(
              "HTTP/1.1 200 OK\r\n"
                  + (chunked ? "Transfer-Encoding: chunked" : "Content-Length: " + size)
                  + "\r\n\r\n");
          OutputStream out = connection.socket().getOutputStream();
          byte[] bytes = piece(2);
          for (long at = 0; at < size; at += PIECE) {
            if (chunked) {
              connection.send("10000\r\n");
            }
            out.write(bytes);
            if (chunked) {
              connection.send("\r\n");
            }
          }
          if (chunked) {
            connection.send("0\r\n\r\n");
          }
          return true;
        });
    long before = memory();
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/"));
      HttpText head = client.readHead();
      assertThat(head.status()).isEqualTo(200);
      InputStream body = chunked ? new ChunkedBody(client.in()) : client.in();
      byte[] expected = piece(2);
      for (long at = 0; at < size; at += PIECE) {
        assertThat(Arrays.equals(HttpText.exactly(body, PIECE), expected)).isTrue();
        if (at % (64 << 20) == 0) {
          assertFlat(before);
        }
      }
      if (chunked) {
        assertThat(body.read()).isNegative();
      }
    }
    assertFlat(before);
  }

  /** The proxy's answer in pieces of its own size. */
  private static final class ChunkedBody extends InputStream {
    private final InputStream in;
    private int left;

    ChunkedBody(InputStream in) {
      this.in = in;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] to, int offset, int length) throws IOException {
      if (length == 0) {
        return 0;
      }
      if (left == 0) {
        left = Integer.parseInt(HttpText.line(in), 16);
        if (left == 0) {
          return -1;
        }
      }
      int count = in.read(to, offset, Math.min(length, left));
      left -= count;
      if (left == 0) {
        HttpText.line(in);
      }
      return count;
    }
  }

  @Test
  void aClientThatDoesNotReadStopsTheApplication() throws Exception {
    AtomicLong written = new AtomicLong();
    CountDownLatch ended = new CountDownLatch(1);
    start(
        (request, connection) -> {
          connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + LARGE + "\r\n\r\n");
          byte[] bytes = piece(3);
          try {
            while (written.get() < LARGE) {
              connection.socket().getOutputStream().write(bytes);
              written.addAndGet(PIECE);
            }
          } finally {
            ended.countDown();
          }
          return true;
        });
    long before = memory();
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/"));
      client.readHead();
      awaitStandstill(written);
      // The kernel's buffers of two sockets, at most some megabytes each.
      assertThat(written.get()).isLessThan(64 << 20);
      assertFlat(before);
    }
    // The client is gone: so is what was on its way.
    assertThat(ended.await(20, TimeUnit.SECONDS)).isTrue();
    assertThat(written.get()).isLessThan(LARGE);
  }

  @Test
  void anApplicationThatDoesNotReadStopsTheClient() throws Exception {
    CountDownLatch readOn = new CountDownLatch(1);
    start(
        (request, connection) -> {
          await(readOn);
          connection.in().skipNBytes(LARGE / 4);
          connection.send(TestApp.ok("read"));
          return true;
        });
    long before = memory();
    AtomicLong written = new AtomicLong();
    try (RawClient client = proxy.client()) {
      CompletableFuture<Void> sending =
          CompletableFuture.runAsync(
              () -> {
                try {
                  client.send(RawClient.request("POST", "/", "Content-Length: " + LARGE / 4));
                  byte[] bytes = piece(4);
                  while (written.get() < LARGE / 4) {
                    client.send(bytes);
                    written.addAndGet(PIECE);
                  }
                } catch (IOException e) {
                  throw new java.io.UncheckedIOException(e);
                }
              });
      awaitStandstill(written);
      assertThat(written.get()).isLessThan(64 << 20);
      assertFlat(before);
      readOn.countDown();
      sending.get(60, TimeUnit.SECONDS);
      assertThat(client.read().body()).isEqualTo("read");
    }
  }

  /** Returns once the count has not moved for a while: of a standstill no event can tell. */
  private static void awaitStandstill(AtomicLong count) throws InterruptedException {
    long last = -1;
    int quiet = 0;
    while (quiet < 10) {
      TimeUnit.MILLISECONDS.sleep(50);
      quiet = count.get() == last && last > 0 ? quiet + 1 : 0;
      last = count.get();
    }
  }

  private static void await(CountDownLatch latch) throws IOException {
    try {
      if (!latch.await(60, TimeUnit.SECONDS)) {
        throw new IOException("nobody opened the latch");
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  @Test
  void eachEventOfAStreamArrivesBeforeTheNextIsSent() throws Exception {
    CountDownLatch[] seen = new CountDownLatch[20];
    Arrays.setAll(seen, i -> new CountDownLatch(1));
    start(
        (request, connection) -> {
          connection.send(
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
          for (int i = 0; i < seen.length; i++) {
            String event = "data: " + i + "\n\n";
            connection.send(Integer.toHexString(event.length()) + "\r\n" + event + "\r\n");
            await(seen[i]);
          }
          connection.send("0\r\n\r\n");
          return true;
        });
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/events", "Accept: text/event-stream"));
      assertThat(client.readHead().field("Content-Type")).isEqualTo("text/event-stream");
      InputStream body = new ChunkedBody(client.in());
      for (int i = 0; i < seen.length; i++) {
        String event = "data: " + i + "\n\n";
        assertThat(new String(HttpText.exactly(body, event.length()))).isEqualTo(event);
        seen[i].countDown();
      }
      assertThat(body.read()).isNegative();
    }
  }

  @Test
  void eachPieceOfARequestArrivesBeforeTheNextIsSent() throws Exception {
    start(
        (request, connection) -> {
          connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
          while (true) {
            int size = Integer.parseInt(HttpText.line(connection.in()), 16);
            String piece = new String(HttpText.exactly(connection.in(), size));
            HttpText.line(connection.in());
            if (size == 0) {
              connection.send("0\r\n\r\n");
              return true;
            }
            connection.send(Integer.toHexString(size) + "\r\n" + piece + "\r\n");
          }
        });
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/echo", "Transfer-Encoding: chunked"));
      assertThat(client.readHead().status()).isEqualTo(200);
      InputStream body = new ChunkedBody(client.in());
      for (int i = 0; i < 20; i++) {
        client.send("5\r\nhello\r\n");
        assertThat(new String(HttpText.exactly(body, 5))).isEqualTo("hello");
      }
      client.send("0\r\n\r\n");
      assertThat(body.read()).isNegative();
    }
  }

  // ------------------------------------------------------------ other protocols

  /** Says back what it hears, until it hears nothing any more. */
  private static boolean switchAndEcho(HttpText request, TestApp.Connection connection)
      throws IOException {
    connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
            + request.field("Upgrade")
            + "\r\nSec-WebSocket-Accept: abc\r\n\r\nhi");
    OutputStream out = connection.socket().getOutputStream();
    byte[] bytes = new byte[PIECE];
    for (int n = connection.in().read(bytes); n >= 0; n = connection.in().read(bytes)) {
      out.write(bytes, 0, n);
    }
    return false;
  }

  @Test
  void anUpgradeJoinsTheConnections() throws Exception {
    start(StreamingTest::switchAndEcho);
    try (RawClient client = proxy.client()) {
      client.send(
          RawClient.request(
              "GET",
              "/socket",
              "Connection: keep-alive, Upgrade",
              "Upgrade: websocket",
              "Sec-WebSocket-Key: x",
              "Content-Length: 0"));
      HttpText head = client.readHead();
      assertThat(head.status()).isEqualTo(101);
      assertThat(head.field("Upgrade")).isEqualTo("websocket");
      assertThat(head.field("Connection")).isEqualTo("Upgrade");
      assertThat(head.field("Sec-WebSocket-Accept")).isEqualTo("abc");
      HttpText got = app.received();
      assertThat(got.field("Upgrade")).isEqualTo("websocket");
      assertThat(got.field("Connection")).isEqualTo("Upgrade");
      assertThat(new String(HttpText.exactly(client.in(), 2))).isEqualTo("hi");
      for (int i = 0; i < 100; i++) {
        byte[] message = piece(i);
        client.send(message);
        assertThat(HttpText.exactly(client.in(), PIECE)).isEqualTo(message);
      }
      client.socket().shutdownOutput();
      assertThat(client.isAtEnd()).isTrue();
    }
  }

  @Test
  void anUpgradeGoesThroughTheProxyOfThePrimary() throws Exception {
    start(StreamingTest::switchAndEcho);
    TestApp unused = TestApp.echo();
    try (TestProxy replica = new TestProxy(unused)) {
      replica.alwaysForward = java.util.List.of("/socket");
      replica.primary.other("first", proxy.port());
      replica.start();
      try (RawClient client = replica.client()) {
        client.send(
            RawClient.request("GET", "/socket", "Connection: Upgrade", "Upgrade: websocket"));
        assertThat(client.readHead().status()).isEqualTo(101);
        assertThat(new String(HttpText.exactly(client.in(), 2))).isEqualTo("hi");
        client.send("ping");
        assertThat(new String(HttpText.exactly(client.in(), 4))).isEqualTo("ping");
      }
      assertThat(unused.unseen()).isZero();
    } finally {
      unused.close();
    }
  }

  @Test
  void aTunnelTakesNoMoreThanTheOtherSideReads() throws Exception {
    AtomicLong written = new AtomicLong();
    start(
        (request, connection) -> {
          connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
          byte[] bytes = piece(5);
          while (true) {
            connection.socket().getOutputStream().write(bytes);
            written.addAndGet(PIECE);
          }
        });
    long before = memory();
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/", "Connection: Upgrade", "Upgrade: x"));
      assertThat(client.readHead().status()).isEqualTo(101);
      awaitStandstill(written);
      assertThat(written.get()).isLessThan(64 << 20);
      assertFlat(before);
      long sofar = written.get();
      client.in().skipNBytes(64 << 20);
      assertThat(written.get()).isGreaterThan(sofar);
    }
  }

  @Test
  void anUpgradeThatIsRefusedIsAnOrdinaryAnswer() throws Exception {
    start(
        (request, connection) -> {
          connection.send(TestApp.ok(request.target()));
          return true;
        });
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/a", "Connection: Upgrade", "Upgrade: websocket").body())
          .isEqualTo("/a");
      assertThat(client.get("/b").body()).isEqualTo("/b");
    }
  }
}

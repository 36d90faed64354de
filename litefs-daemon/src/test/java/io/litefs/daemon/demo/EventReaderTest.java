package io.litefs.daemon.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import io.litefs.daemon.client.CommandException;
import io.litefs.ltx.Txid;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class EventReaderTest {

  private final CountDownLatch sent = new CountDownLatch(1);
  private final CountDownLatch end = new CountDownLatch(1);
  private HttpServer node;

  @BeforeEach
  void start() throws Exception {
    node = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    node.createContext(
        "/events",
        exchange -> {
          exchange.sendResponseHeaders(200, 0);
          try (exchange;
              OutputStream out = exchange.getResponseBody()) {
            write(out, "{\"type\":\"init\",\"data\":{\"isPrimary\":true}}");
            write(
                out, "{\"type\":\"tx\",\"db\":\"a.db\",\"data\":{\"txID\":\"0000000000000003\"}}");
            write(out, "{\"type\":\"primaryChange\",\"data\":{\"isPrimary\":false}}");
            sent.countDown();
            end.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
    node.start();
  }

  private static void write(OutputStream out, String line) throws java.io.IOException {
    out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
    out.flush();
  }

  @AfterEach
  void stop() {
    end.countDown();
    node.stop(0);
  }

  private EventReader reader() throws CommandException {
    return new EventReader(URI.create("http://127.0.0.1:" + node.getAddress().getPort()));
  }

  @Test
  void aWaitEndsWithTheTransactionOrALaterOne() throws Exception {
    EventReader reader = reader();
    long before = System.nanoTime();
    assertThat(reader.await("a.db", new Txid(3), Duration.ofSeconds(20)) - before)
        .isBetween(-20_000_000_000L, 20_000_000_000L);
    reader.await("a.db", new Txid(2), Duration.ZERO);
  }

  @Test
  void aTransactionThatDoesNotComeIsNamed() throws Exception {
    EventReader reader = reader();
    reader.await("a.db", new Txid(3), Duration.ofSeconds(20));
    assertThatThrownBy(() -> reader.await("a.db", new Txid(4), Duration.ofMillis(10)))
        .hasMessageContainingAll("0000000000000004", "a.db", "0000000000000003");
  }

  @Test
  void theEndOfTheEventsEndsTheWait() throws Exception {
    EventReader reader = reader();
    sent.await();
    end.countDown();
    assertThatThrownBy(() -> reader.await("b.db", new Txid(1), Duration.ofSeconds(20)))
        .hasMessageContaining("ended");
  }
}

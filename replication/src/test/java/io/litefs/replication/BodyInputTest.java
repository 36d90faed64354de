package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.Unpooled;
import java.io.IOException;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(20)
class BodyInputTest {

  @Test
  void bytesComeOutAsTheyWentInThroughASmallRing() throws Exception {
    byte[] data = new byte[1_000_000];
    new Random(3).nextBytes(data);
    java.util.concurrent.Semaphore window = new java.util.concurrent.Semaphore(10_000);
    BodyInput body = new BodyInput(10_000, window::release);
    CompletableFuture<Void> producer =
        CompletableFuture.runAsync(
            () -> {
              Random sizes = new Random(4);
              int at = 0;
              try {
                while (at < data.length) {
                  int n = Math.min(1 + sizes.nextInt(3000), data.length - at);
                  window.acquire(n);
                  body.offer(Unpooled.wrappedBuffer(data, at, n));
                  at += n;
                }
                body.finish();
              } catch (IOException | InterruptedException e) {
                throw new AssertionError(e);
              }
            });

    assertThat(body.readAllBytes()).isEqualTo(data);
    producer.get(10, TimeUnit.SECONDS);
  }

  @Test
  void moreThanTheCapacityIsRefused() throws IOException {
    BodyInput body = new BodyInput(1000, n -> {});
    body.offer(Unpooled.wrappedBuffer(new byte[600]));

    assertThat(body.free()).isEqualTo(400);
    assertThatThrownBy(() -> body.offer(Unpooled.wrappedBuffer(new byte[401])))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("more than its window");
  }

  @Test
  void whatCameBeforeAFailureIsReadFirst() throws IOException {
    BodyInput body = new BodyInput(1000, n -> {});
    body.offer(Unpooled.wrappedBuffer(new byte[] {1, 2}));
    body.fail(new IOException("gone"));

    assertThat(body.readNBytes(2)).containsExactly(1, 2);
    assertThatThrownBy(body::read).isInstanceOf(PeerGoneException.class).hasMessage("gone");
  }

  @Test
  void afterAnAbortNothingIsRead() throws IOException {
    BodyInput body = new BodyInput(1000, n -> {});
    body.offer(Unpooled.wrappedBuffer(new byte[] {1, 2}));
    body.abort(new IOException("closed"));

    assertThatThrownBy(body::read).hasMessage("closed");
  }

  @Test
  void failureAfterTheEndDoesNotMatter() throws IOException {
    BodyInput body = new BodyInput(1000, n -> {});
    body.finish();
    body.fail(new IOException("gone"));

    assertThat(body.read()).isEqualTo(-1);
  }

  @Test
  void silenceBeyondTheTimeoutFails() {
    BodyInput body = new BodyInput(1000, n -> {});
    body.setTimeout(Duration.ofMillis(20));

    assertThatThrownBy(body::read)
        .isInstanceOf(BodyInput.SilenceException.class)
        .hasMessage("nothing received for 20 ms");
  }

  @Test
  void consumptionIsReportedInQuarters() throws IOException {
    AtomicInteger reported = new AtomicInteger();
    BodyInput body = new BodyInput(1000, reported::addAndGet);
    body.offer(Unpooled.wrappedBuffer(new byte[1000]));

    body.readNBytes(249);
    assertThat(reported).hasValue(0);
    body.read();
    assertThat(reported).hasValue(250);
    body.readNBytes(750);
    assertThat(reported).hasValue(1000);
  }
}

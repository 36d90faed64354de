package io.litefs.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Txid;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class EventFeedTest {

  private NodeView view = new NodeView(null, false, true, "/litefs", "one");
  private final EventFeed feed = new EventFeed(() -> view);

  private static List<String> take(EventFeed.Subscription subscription)
      throws InterruptedException {
    return subscription.take().stream()
        .map(bytes -> new String(bytes, StandardCharsets.UTF_8))
        .toList();
  }

  private void commit(long txid) {
    feed.transaction(
        "a.db", new Txid(txid), new Checksum(1L << 63 | txid), 4096, 7, 1_700_000_000_123L);
  }

  @Test
  void theFirstEventTellsTheState() throws Exception {
    try (EventFeed.Subscription replica = feed.subscribe(() -> {})) {
      assertThat(take(replica))
          .containsExactly(
              "{\"type\":\"init\",\"data\":{\"isPrimary\":false,\"hostname\":\"one\"}}\n");
    }
    view = new NodeView(null, true, true, "/litefs", null);
    try (EventFeed.Subscription primary = feed.subscribe(() -> {})) {
      assertThat(take(primary))
          .containsExactly("{\"type\":\"init\",\"data\":{\"isPrimary\":true}}\n");
    }
  }

  @Test
  void transactionsAndRoleChangesFollowInOrder() throws Exception {
    try (EventFeed.Subscription subscription = feed.subscribe(() -> {})) {
      subscription.take();
      commit(10);
      feed.primaryChange(false, "two");
      assertThat(take(subscription))
          .containsExactly(
              "{\"type\":\"tx\",\"db\":\"a.db\",\"data\":{\"txID\":\"000000000000000a\",\"postApplyChecksum\":\"800000000000000a\","
                  + "\"pageSize\":4096,\"commit\":7,\"timestamp\":\"2023-11-14T22:13:20.123Z\"}}\n",
              "{\"type\":\"primaryChange\",\"data\":{\"isPrimary\":false,\"hostname\":\"two\"}}\n");
    }
  }

  @Test
  void aReaderMayBe1024EventsBehindButNotMore() throws Exception {
    AtomicBoolean cutOff = new AtomicBoolean();
    EventFeed.Subscription slow = feed.subscribe(() -> cutOff.set(true));
    EventFeed.Subscription quick = feed.subscribe(() -> {});
    quick.take();
    slow.take();
    for (int i = 1; i <= EventFeed.CAPACITY; i++) {
      commit(i);
    }
    assertThat(quick.take()).hasSize(EventFeed.CAPACITY);
    assertThat(cutOff).isFalse();

    commit(EventFeed.CAPACITY + 1);

    assertThat(cutOff).isTrue();
    assertThat(slow.take()).isEmpty();
    assertThat(quick.take()).hasSize(1);
    assertThat(feed.readers()).isEqualTo(1);
  }

  @Test
  void theHandlerSendsUntilTheClientGoes() throws Exception {
    FakeExchange exchange = new FakeExchange();
    CompletableFuture<Void> handling =
        CompletableFuture.runAsync(
            () -> {
              try {
                new EventsHandler(feed).handle(exchange);
              } catch (Exception e) {
                throw new IllegalStateException(e);
              }
            });
    while (feed.readers() == 0) {
      Thread.onSpinWait();
    }
    commit(1);
    while (!exchange.text().contains("\"tx\"")) {
      Thread.onSpinWait();
    }
    exchange.onClose.run();
    handling.get(10, TimeUnit.SECONDS);
    assertThat(exchange.status).isEqualTo(200);
    assertThat(exchange.length).isEqualTo(-1);
    assertThat(exchange.text().lines()).hasSize(2);
    assertThat(feed.readers()).isZero();
  }

  @Test
  void closingTheFeedEndsItsReaders() throws Exception {
    EventFeed.Subscription subscription = feed.subscribe(() -> {});
    subscription.take();
    feed.close();
    assertThat(subscription.take()).isEmpty();
  }
}

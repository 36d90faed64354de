package io.litefs.daemon.status;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class HistoryTest {

  private final AtomicLong transactions = new AtomicLong();
  private final AtomicLong bytes = new AtomicLong(1000);
  private final AtomicLong lag = new AtomicLong(-1);
  private final AtomicLong nanos = new AtomicLong();
  private final History history = new History(transactions::get, bytes::get, lag::get, nanos::get);

  private void sampleAfter(double seconds) {
    nanos.addAndGet((long) (seconds * 1e9));
    history.sample();
  }

  @Test
  void samplesAreRatesSinceTheLastOne() {
    transactions.addAndGet(10);
    bytes.addAndGet(500);
    sampleAfter(2);
    lag.set(7);
    sampleAfter(2);
    History.Series series = history.series();
    assertThat(series.transactionsPerSecond()).containsExactly(5, 0);
    assertThat(series.bytesPerSecond()).containsExactly(250, 0);
    assertThat(series.lagMillis()).containsExactly(-1, 7);
  }

  @Test
  void aRemovedDatabaseDoesNotMakeARateNegative() {
    transactions.addAndGet(10);
    sampleAfter(2);
    transactions.addAndGet(-10);
    sampleAfter(2);
    assertThat(history.series().transactionsPerSecond()).containsExactly(5, 0);
  }

  @Test
  void theOldestSamplesGo() {
    for (int i = 1; i <= History.SAMPLES + 3; i++) {
      lag.set(i);
      sampleAfter(2);
    }
    assertThat(history.series().lagMillis())
        .hasSize(History.SAMPLES)
        .startsWith(4, 5)
        .endsWith(History.SAMPLES + 2, History.SAMPLES + 3);
  }
}

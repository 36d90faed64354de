package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.store.TransactionEvent;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class StorePositionsTest {

  private static final Duration LONG = Duration.ofSeconds(60);
  private static final Checksum CHECKSUM = new Checksum(1L << 63);

  private final Map<String, Pos> store = new ConcurrentHashMap<>();
  private final StorePositions positions = new StorePositions(store::get, () -> 1500);

  private void commit(String database, long txid) {
    store.put(database, new Pos(new Txid(txid), CHECKSUM));
    positions.moved(new TransactionEvent(database, new Txid(txid), CHECKSUM, 4096, 1, 0));
  }

  private CompletableFuture<Boolean> await(String database, long txid, Duration timeout) {
    return positions.await(database, txid, timeout).toCompletableFuture();
  }

  @Test
  void tellsWhereTheStoreIs() {
    assertThat(positions.txid("a.db")).isEmpty();
    commit("a.db", 7);
    assertThat(positions.txid("a.db")).hasValue(7);
    assertThat(positions.lag()).isEqualTo(Duration.ofMillis(1500));
  }

  @Test
  void whatIsThereIsNotWaitedFor() {
    commit("a.db", 7);
    assertThat(await("a.db", 7, LONG)).isCompletedWithValue(true);
    assertThat(await("a.db", 6, Duration.ZERO)).isCompletedWithValue(true);
  }

  @Test
  void aTransactionWakesThoseThatItReaches() {
    CompletableFuture<Boolean> five = await("a.db", 5, LONG);
    CompletableFuture<Boolean> six = await("a.db", 6, LONG);
    CompletableFuture<Boolean> sixToo = await("a.db", 6, LONG);
    CompletableFuture<Boolean> other = await("b.db", 5, LONG);
    commit("a.db", 5);
    assertThat(five).isCompletedWithValue(true);
    assertThat(six).isNotDone();
    commit("a.db", 8); // a snapshot skips
    assertThat(six).isCompletedWithValue(true);
    assertThat(sixToo).isCompletedWithValue(true);
    assertThat(other).isNotDone();
    commit("b.db", 5);
    assertThat(other).isCompletedWithValue(true);
  }

  @Test
  void aWaitEndsInTime() throws Exception {
    assertThat(await("a.db", 5, Duration.ofMillis(5)).get(20, TimeUnit.SECONDS)).isFalse();
    commit("a.db", 5);
  }
}

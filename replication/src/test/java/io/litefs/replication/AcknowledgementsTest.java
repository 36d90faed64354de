package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;

/** What replicas say that they hold: its form, and who counts. */
class AcknowledgementsTest {

  private static final Duration LONG = Duration.ofSeconds(30);

  private final Acknowledgements acks = new Acknowledgements();

  private static Pos pos(long txid, long checksum) {
    return new Pos(new Txid(txid), new Checksum(checksum | 1L << 63));
  }

  @Test
  void aPositionCountsForItselfAndForThoseBeforeItOfTheSameHistory() throws Exception {
    acks.connected("one", 1, db -> true);
    acks.acknowledged("one", "a.db", pos(5, 55));
    assertThat(acks.count("a.db", pos(4, 44))).isEqualTo(1);
    assertThat(acks.count("a.db", pos(5, 55))).isEqualTo(1);
    assertThat(acks.count("a.db", pos(5, 66))).isZero();
    assertThat(acks.count("a.db", pos(6, 66))).isZero();
    assertThat(acks.count("b.db", pos(1, 1))).isZero();
    assertThat(acks.await("a.db", new Txid(5), 1, Duration.ZERO)).isTrue();
    assertThat(acks.await("a.db", new Txid(6), 1, Duration.ZERO)).isFalse();
  }

  @Test
  void aNodeCountsOnceAndOnlyWhileItIsConnected() {
    acks.connected("old", 1, db -> true);
    acks.connected("new", 1, db -> true);
    acks.acknowledged("old", "a.db", pos(5, 55));
    acks.acknowledged("new", "a.db", pos(5, 55));
    assertThat(acks.count("a.db", pos(5, 55))).isEqualTo(1);
    acks.gone("old");
    assertThat(acks.count("a.db", pos(5, 55))).isEqualTo(1);
    acks.gone("new");
    assertThat(acks.count("a.db", pos(5, 55))).isZero();
    acks.acknowledged("new", "a.db", pos(6, 66));
    assertThat(acks.count("a.db", pos(5, 55))).isZero();
  }

  @Test
  void aReplicaIsInSyncForWhatItWantsOnceItHasSaidSo() throws Exception {
    acks.connected("one", 1, "a.db"::equals);
    assertThat(acks.awaitInSync("a.db", 1, Duration.ZERO)).isFalse();
    acks.markInSync("one");
    assertThat(acks.inSync("a.db")).isEqualTo(1);
    assertThat(acks.inSync("b.db")).isZero();
  }

  @Test
  void oneNodeIsWaitedForAsLongAsItIsThereAndBehind() throws Exception {
    assertThat(acks.awaitNode(1, "a.db", new Txid(5), Duration.ZERO)).isTrue();
    acks.connected("one", 1, db -> true);
    acks.connected("two", 2, db -> true);
    acks.acknowledged("two", "a.db", pos(5, 55));
    assertThat(acks.awaitNode(1, "a.db", new Txid(5), Duration.ZERO)).as("says nothing").isTrue();
    acks.acknowledged("one", "a.db", pos(4, 44));
    assertThat(acks.awaitNode(1, "a.db", new Txid(4), Duration.ZERO)).isTrue();
    assertThat(acks.awaitNode(1, "a.db", new Txid(5), Duration.ZERO)).isFalse();
    for (Runnable end :
        new Runnable[] {
          () -> acks.acknowledged("one", "a.db", pos(5, 55)), () -> acks.gone("one"),
        }) {
      acks.acknowledged("one", "a.db", pos(4, 44));
      FutureTask<Boolean> waiting =
          new FutureTask<>(() -> acks.awaitNode(1, "a.db", new Txid(5), LONG));
      Thread thread = new Thread(waiting);
      thread.start();
      while (thread.getState() != Thread.State.TIMED_WAITING) {
        Thread.onSpinWait();
      }
      end.run();
      assertThat(waiting.get()).isTrue();
    }
  }

  @Test
  void whoWaitsIsWokenByTheLastOneThatIsNeeded() throws Exception {
    acks.connected("one", 1, db -> true);
    acks.connected("two", 2, db -> true);
    CompletableFuture<Boolean> reached = new CompletableFuture<>();
    Thread waiter =
        new Thread(
            () -> {
              try {
                reached.complete(acks.await("a.db", pos(5, 55), 2, LONG));
              } catch (InterruptedException e) {
                reached.completeExceptionally(e);
              }
            });
    waiter.start();
    acks.acknowledged("one", "a.db", pos(5, 55));
    assertThat(reached).isNotDone();
    acks.acknowledged("two", "a.db", pos(6, 66));
    assertThat(reached.get()).isTrue();
    waiter.join();
  }

  @Test
  void framesReadAsTheyWereWritten() throws IOException {
    byte[] bytes = AckFrame.encode(Map.of("a.db", pos(5, 55)), true);
    ByteArrayInputStream in = new ByteArrayInputStream(bytes);
    assertThat(AckFrame.read(in)).isEqualTo(new AckFrame(Optional.of("a.db"), pos(5, 55)));
    assertThat(AckFrame.read(in)).isEqualTo(new AckFrame(Optional.empty(), Pos.ZERO));
    assertThat(AckFrame.read(in)).isNull();
    assertThat(bytes).startsWith(0, 0, 0, 1, 0, 0, 0, 4, 'a', '.', 'd', 'b').endsWith(0, 0, 0, 2);
  }

  @Test
  void malformedFramesAreRefused() {
    assertThatThrownBy(() -> read(0, 0, 0, 9)).isInstanceOf(StreamFormatException.class);
    assertThatThrownBy(() -> read(0, 0, 0, 1, 0x7f, 0, 0, 0))
        .isInstanceOf(StreamFormatException.class);
    assertThatThrownBy(
            () ->
                read(0, 0, 0, 1, 0, 0, 0, 1, 'a', -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        .isInstanceOf(StreamFormatException.class);
    assertThatThrownBy(() -> read(0, 0, 0, 1, 0, 0, 0, 1, 'a', 0)).isInstanceOf(EOFException.class);
    assertThatThrownBy(() -> read(0, 0)).isInstanceOf(EOFException.class);
  }

  private static void read(int... bytes) throws IOException {
    byte[] frame = new byte[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      frame[i] = (byte) bytes[i];
    }
    AckFrame.read(new ByteArrayInputStream(frame));
  }
}

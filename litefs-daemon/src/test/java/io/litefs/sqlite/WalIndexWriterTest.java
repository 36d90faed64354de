package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An index that is watched after every single byte that changes. */
class WalIndexWriterTest {

  private static final int PAGE_SIZE = 4096;

  private final FramePages pages = new FramePages();
  private final Shared shared = new Shared();
  private final WalIndexWriter writer = new WalIndexWriter(shared, pages);
  private final WalHeader log = WalHeader.create(PAGE_SIZE, 7, 8);
  private final Map<Long, List<Long>> framesOf = new HashMap<>();
  private long last;

  /** Mapped memory into which each put arrives byte by byte, in any order. */
  private static final class Shared implements WalIndexWriter.Memory {
    private byte[] bytes = new byte[WalIndex.BLOCK_SIZE];
    private Random order;
    private Runnable afterEachByte = () -> {};
    private long failAfter = Long.MAX_VALUE;

    @Override
    public void put(long offset, ByteBuffer from) throws IOException {
      int length = from.remaining();
      if (offset + length > bytes.length) {
        bytes = java.util.Arrays.copyOf(bytes, (int) offset + length);
      }
      List<Integer> changed = new ArrayList<>();
      for (int i = 0; i < length; i++) {
        if (bytes[(int) offset + i] != from.get(from.position() + i)) {
          changed.add(i);
        }
      }
      if (order != null) {
        java.util.Collections.shuffle(changed, order);
      }
      for (int i : changed) {
        if (failAfter-- <= 0) {
          throw new IOException("no space");
        }
        bytes[(int) offset + i] = from.get(from.position() + i);
        afterEachByte.run();
      }
    }

    ByteBuffer buffer() {
      return ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
    }

    /** As a connection looks a page up: blocks from the last to the first. */
    long find(long pgno, long maxFrame) {
      for (int number = maxFrame == 0 ? -1 : WalHashTable.blockOf(maxFrame);
          number >= 0;
          number--) {
        ByteBuffer block = buffer().slice(number * WalIndex.BLOCK_SIZE, WalIndex.BLOCK_SIZE);
        long found = new LastOfChain(block, number).find(pgno, maxFrame);
        if (found != 0) {
          return found;
        }
      }
      return 0;
    }
  }

  /** SQLite's walk: the last match in the chain counts, whatever its number. */
  private record LastOfChain(ByteBuffer block, int number) {
    long find(long pgno, long maxFrame) {
      ByteBuffer in = block.order(ByteOrder.nativeOrder());
      long zero = new WalHashTable(block, number).firstFrame() - 1;
      int numbers = number == 0 ? WalIndex.HEADER_SIZE : 0;
      long found = 0;
      int slot = (int) (pgno * 383) & 8191;
      int tries = 0;
      for (int index;
          (index = in.getShort(16384 + 2 * slot) & 0xffff) != 0;
          slot = slot + 1 & 8191) {
        assertThat(tries++).as("length of a chain").isLessThan(8192);
        long frame = zero + index;
        if (frame <= maxFrame && in.getInt(numbers + 4 * (index - 1)) == pgno) {
          found = frame;
        }
      }
      return found;
    }
  }

  private void start() throws IOException {
    writer.restart(WalIndexHeader.emptyLog(null, PAGE_SIZE, 10, 4711));
    last = 0;
    framesOf.clear();
  }

  private void put(long pgno) {
    pages.put(++last, pgno);
  }

  private void publish() throws IOException {
    writer.enter(last);
    writer.publish(writer.header().committed(log, last, 10, WalChecksum.ZERO));
    for (long frame = 1; frame <= last; frame++) {
      framesOf.computeIfAbsent(pages.get(frame), p -> new ArrayList<>()).add(frame);
    }
  }

  private long newest(long pgno, long maxFrame) {
    return framesOf.getOrDefault(pgno, List.of()).stream()
        .mapToLong(f -> f)
        .filter(f -> f <= maxFrame)
        .max()
        .orElse(0);
  }

  private void assertReadersFindTheirPages(long maxFrame, int largestPage) {
    for (long pgno = 1; pgno <= largestPage; pgno++) {
      assertThat(shared.find(pgno, maxFrame))
          .as("page %d for a reader at %d", pgno, maxFrame)
          .isEqualTo(newest(pgno, maxFrame));
    }
  }

  @Test
  void readersSeeNothingButTheirSnapshotAfterEveryByteThatIsWritten() throws IOException {
    start();
    Random random = new Random(5);
    shared.order = random;
    int[] steps = {0};
    for (int transaction = 0; transaction < 60; transaction++) {
      long snapshot = last;
      shared.afterEachByte =
          () -> {
            // Few pages with many frames each: half a slot number is often one of theirs.
            if (++steps[0] % 3 == 0) {
              assertReadersFindTheirPages(snapshot, 6);
            }
          };
      int frames = 1 + random.nextInt(20);
      for (int i = 0; i < frames; i++) {
        put(1 + random.nextInt(6));
      }
      publish();
      shared.afterEachByte = () -> {};
      assertReadersFindTheirPages(last, 6);
      assertThat(WalIndex.readHeader(shared.buffer())).contains(writer.header());
    }
    assertThat(steps[0]).isGreaterThan(2000);
  }

  @Test
  void severalBlocksAreFilled() throws IOException {
    start();
    Random random = new Random(6);
    while (last < 13_000) {
      for (int i = 0; i < 900; i++) {
        put(1 + random.nextInt(3000));
      }
      publish();
    }
    for (long pgno = 1; pgno <= 3000; pgno += 7) {
      for (long maxFrame : new long[] {1, 4062, 4063, 8158, 9000, last}) {
        assertThat(shared.find(pgno, maxFrame)).isEqualTo(newest(pgno, maxFrame));
      }
    }
    assertThat(shared.bytes.length).isEqualTo(4 * WalIndex.BLOCK_SIZE);
  }

  @Test
  void whatOthersHaveBegunIsContinued() throws IOException {
    start();
    for (int i = 0; i < 5000; i++) {
      put(1 + i % 70);
    }
    publish();
    FramePages copy = new FramePages();
    for (long frame = 1; frame <= last; frame++) {
      copy.put(frame, pages.get(frame));
    }
    byte[] before = shared.bytes.clone();
    FramePages others = new FramePages();
    WalIndexWriter next = new WalIndexWriter(shared, others);
    next.resume(writer.header(), 0, copy);
    next.rewriteBlocks();
    assertThat(shared.bytes).as("blocks follow from their frames").isEqualTo(before);
    others.put(5001, 3);
    next.enter(5001);
    assertThat(shared.find(3, 5000)).isEqualTo(newest(3, 5000));
    assertThat(shared.find(3, 5001)).isEqualTo(5001);
  }

  @Test
  void aWriterThatRestsWritesWhatOneDoesThatDoesNot() throws IOException {
    start();
    FramePages others = new FramePages();
    Shared othersIndex = new Shared();
    WalIndexWriter resting = new WalIndexWriter(othersIndex, others);
    resting.restart(WalIndexHeader.emptyLog(null, PAGE_SIZE, 10, 4711));
    Random random = new Random(11);
    while (last < 9000) {
      for (int i = random.nextInt(200); i >= 0; i--) {
        put(1 + random.nextInt(300));
        others.put(last, pages.get(last));
      }
      publish();
      resting.enter(last);
      resting.publish(writer.header());
      resting.rest();
      assertThat(othersIndex.bytes).isEqualTo(shared.bytes);
    }
    put(5);
    others.put(last, 5);
    othersIndex.failAfter = 3;
    assertThatThrownBy(() -> resting.enter(last)).hasMessage("no space");
    othersIndex.failAfter = Long.MAX_VALUE;
    resting.rest(); // It knows what is to be taken out.
    resting.enter(last);
    publish();
    resting.publish(writer.header());
    assertThat(othersIndex.bytes).isEqualTo(shared.bytes);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 40, 700, 5000, 30_000})
  void framesThatCouldNotBeEnteredLeaveNothingBehind(int failAfter) throws IOException {
    start();
    for (int i = 0; i < 4000; i++) {
      put(1 + i % 50);
    }
    publish();
    long published = last;
    for (int i = 0; i < 200; i++) {
      put(60 + i % 3);
    }
    shared.failAfter = failAfter;
    boolean fails = failAfter < 800;
    if (fails) {
      assertThatThrownBy(() -> writer.enter(last)).hasMessage("no space");
    } else {
      writer.enter(last);
    }
    shared.failAfter = Long.MAX_VALUE;
    assertReadersFindTheirPages(published, 62);

    last = published;
    put(2);
    publish();
    assertReadersFindTheirPages(last, 62);
    for (int i = 0; i < 100; i++) {
      put(60);
    }
    publish();
    assertReadersFindTheirPages(last, 62);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 255, 256, 257, 65_535, 65_536, 70_000, 16_777_216})
  void theNumberOfCopiedFramesIsNeverAboveTheNewOne(long frames) throws IOException {
    start();
    for (long from : new long[] {0, 1, 200, 255, 256, 65_530}) {
      if (from > frames) {
        continue;
      }
      writer.setBackfilled(from);
      shared.afterEachByte =
          () ->
              assertThat(WalIndex.readCheckpointInfo(shared.buffer()).backfilled())
                  .isLessThanOrEqualTo(frames);
      writer.setBackfilled(frames);
      shared.afterEachByte = () -> {};
      assertThat(WalIndex.readCheckpointInfo(shared.buffer()).backfilled()).isEqualTo(frames);
      writer.restart(WalIndexHeader.emptyLog(writer.header(), PAGE_SIZE, 10, 1));
      assertThat(WalIndex.readCheckpointInfo(shared.buffer()).backfilled()).isZero();
    }
  }

  @Test
  void readMarksAndLockBytesStayAsTheReadersLeftThem() throws IOException {
    start();
    for (int i = WalIndex.READ_MARKS; i < WalIndex.BACKFILL_ATTEMPTED; i++) {
      shared.bytes[i] = (byte) i;
    }
    byte[] marks =
        java.util.Arrays.copyOfRange(
            shared.bytes, WalIndex.READ_MARKS, WalIndex.BACKFILL_ATTEMPTED);
    for (int i = 0; i < 100; i++) {
      put(i + 1);
    }
    publish();
    writer.setBackfillAttempted(100);
    writer.setBackfilled(100);
    writer.restart(WalIndexHeader.emptyLog(writer.header(), PAGE_SIZE, 10, 1));
    last = 0;
    put(1);
    publish();
    assertThat(shared.bytes)
        .hasSize(WalIndex.BLOCK_SIZE)
        .satisfies(
            b ->
                assertThat(
                        java.util.Arrays.copyOfRange(
                            b, WalIndex.READ_MARKS, WalIndex.BACKFILL_ATTEMPTED))
                    .isEqualTo(marks));
  }
}

package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class PageTableTest {

  private final PageTable table = new PageTable();

  @Test
  void behavesLikeASortedMap() {
    Random random = new Random(7);
    TreeMap<Long, Long> model = new TreeMap<>();
    for (int i = 0; i < 20_000; i++) {
      long pgno = 1 + random.nextInt(50_000);
      switch (random.nextInt(100)) {
        case 0 -> {
          table.clear();
          model.clear();
        }
        case 1 -> {
          table.truncate(pgno);
          model.tailMap(pgno, false).clear();
        }
        default -> {
          table.put(pgno, i + 1);
          model.put(pgno, i + 1L);
        }
      }
      long probe = 1 + random.nextInt(50_000);
      assertThat(table.get(probe)).isEqualTo(model.getOrDefault(probe, 0L));
      Long next = model.ceilingKey(probe);
      assertThat(table.next(probe)).isEqualTo(next == null ? 0 : next);
    }
  }

  @Test
  void takesChunksOver() {
    Random random = new Random(8);
    table.put(1, 77);
    long sum = 77;
    ByteBuffer memory = ByteBuffer.allocateDirect(40 * PageTable.CHUNK_BYTES);
    for (long pgno = 2048; pgno < 2048 + 40 * 1024; pgno++) {
      long value = random.nextLong();
      memory.putLong(value);
      sum ^= value;
    }
    table.adoptChunks(2, memory);
    memory.flip();
    assertThat(table.get(2048)).isEqualTo(memory.getLong(0));
    assertThat(table.get(2048 + 40 * 1024 - 1)).isEqualTo(memory.getLong(memory.limit() - 8));
    assertThat(table.xor(1 << 20)).isEqualTo(sum);
    assertThat(table.xor(2048 + 40 * 1024 - 2)).isEqualTo(sum ^ memory.getLong(memory.limit() - 8));
    assertThat(table.xor(2047)).isEqualTo(77);
    assertThat(table.nextDirty(0)).isZero();
    assertThat(table.nextDirty(1)).isEqualTo(-1);
    table.clear();
    assertThat(table.isEmpty()).isTrue();
    table.put(3000, 1);
    assertThat(table.xor(1 << 20)).isEqualTo(1);
  }

  @Test
  void aChunkOfWhichOnlyTheBeginningIsUsedIsTakenAsAWholeOne() {
    int pages = PageTable.BEGINNING_BYTES / Long.BYTES;
    table.adoptChunks(0, ByteBuffer.allocateDirect(PageTable.bytesOf(1, 5)).putLong(8, 77));
    table.put(pages - 1, 78);
    assertThat(table.get(pages)).isZero();
    assertThat(table.next(2)).isEqualTo(pages - 1);
    ByteBuffer copy = ByteBuffer.allocateDirect(PageTable.CHUNK_BYTES);
    for (int i = 0; i < copy.capacity(); i++) {
      copy.put(i, (byte) -1);
    }
    table.takeChunk(0, copy);
    assertThat(copy.hasRemaining()).isFalse();
    assertThat(copy.getLong(8)).isEqualTo(77);
    assertThat(copy.getLong(PageTable.BEGINNING_BYTES)).isZero();
    assertThat(copy.getLong(PageTable.CHUNK_BYTES - 8)).isZero();
    table.put(pages, 79);
    assertThat(table.get(1)).isEqualTo(77);
    assertThat(table.get(pages - 1)).isEqualTo(78);
    assertThat(table.xor(pages)).isEqualTo(77 ^ 78 ^ 79);
    assertThat(table.nextDirty(0)).isZero();
  }

  /** Whole chunks are everybody's once their table is cleared. */
  @Test
  void tablesThatTakeTurnsWithChunksSeeNothingOfEachOther() {
    PageTable other = new PageTable();
    for (int round = 1; round < 50; round++) {
      for (long pgno = 1; pgno < 20_000; pgno += 77) {
        table.put(pgno, round);
        other.put(pgno + 1, -round);
      }
      assertThat(table.get(2)).isZero();
      assertThat(other.get(78)).isZero();
      assertThat(table.next(2)).isEqualTo(78);
      assertThat(other.next(3)).isEqualTo(79);
      table.clear();
      assertThat(other.get(79)).isEqualTo(-round);
      assertThat(table.isEmpty()).isTrue();
      other.truncate(100);
      assertThat(other.next(80)).isZero();
      other.clear();
    }
  }

  @Test
  void isEmptyAfterTruncationToNothing() {
    table.put(1, 5);
    table.put(5000, 5);
    table.truncate(0);
    assertThat(table.isEmpty()).isTrue();
  }

  @Test
  void takesTheLargestPageNumberOfA16TerabyteDatabase() {
    long last = 4_294_967_294L;
    table.put(last, 9);
    assertThat(table.get(last)).isEqualTo(9);
    assertThat(table.next(1)).isEqualTo(last);
  }
}

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

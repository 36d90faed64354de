package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

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

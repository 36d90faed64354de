package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.Txid;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogNamesTest {

  @TempDir Path dir;

  private static LtxFileName name(long min, long max) {
    return new LtxFileName(new Txid(min), new Txid(max));
  }

  /** Around the bounds of what is kept together, dense and sparse, against a set of objects. */
  @ParameterizedTest
  @ValueSource(longs = {1, 4090, 1L << 40})
  void isTheOrderedSetOfWhatWasAdded(long begin) {
    Random random = new Random(begin);
    LogNames names = new LogNames();
    TreeSet<LtxFileName> model = new TreeSet<>(LogNames.ORDER);
    for (int step = 0; step < 3000; step++) {
      long min = begin + random.nextInt(step % 2 == 0 ? 40 : 20_000);
      LtxFileName name = name(min, random.nextInt(4) == 0 ? min + random.nextInt(5) : min);
      if (random.nextInt(3) > 0) {
        names.add(name);
        model.add(name);
      } else {
        names.remove(name);
        model.remove(name);
      }
      assertThat(names.contains(name)).isEqualTo(model.contains(name));
      assertThat(names.size()).isEqualTo(model.size());
      assertThat(names.isEmpty()).isEqualTo(model.isEmpty());
      if (step % 50 == 0 && !model.isEmpty()) {
        assertThat(names).containsExactlyElementsOf(model);
        assertThat(names.descending()).containsExactlyElementsOf(model.descendingSet());
        assertThat(names.last()).isEqualTo(model.last());
        assertThat(names.furthest())
            .hasValue(model.stream().max(Comparator.comparing(LtxFileName::max)).orElseThrow());
      }
    }
    model.forEach(names::remove);
    assertThat(names).isEmpty();
    assertThat(names.furthest()).isEmpty();
  }

  @Test
  void ofThoseThatBeginAlikeTheOneThatReachesFurtherComesFirst() {
    LogNames names = new LogNames();
    names.add(name(5, 5));
    names.add(name(5, 9));
    names.add(name(4, 4));
    assertThat(names).containsExactly(name(4, 4), name(5, 9), name(5, 5));
    assertThat(names.furthest()).hasValue(name(5, 9));
  }

  @Test
  void ofADirectoryOnlyLtxFilesCount() throws Exception {
    Files.createFile(dir.resolve(name(2, 2).toString()));
    Files.createFile(dir.resolve(name(1, 1).toString()));
    Files.createFile(dir.resolve("incoming.tmp"));
    Files.createFile(dir.resolve("000000000000000A-000000000000000A.ltx"));
    assertThat(LogNames.in(dir)).containsExactly(name(1, 1), name(2, 2));
  }
}

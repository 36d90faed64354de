package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DirectBuffersTest {

  @ParameterizedTest
  @ValueSource(ints = {1, 4095, 4096, 4097, 65_536, 65_560, 1 << 18, 1 << 20, (1 << 20) + 1})
  void lendsWhatIsAskedFor(int bytes) {
    for (int i = 0; i < 3; i++) {
      ByteBuffer buffer = DirectBuffers.take(bytes);
      assertThat(buffer.isDirect()).isTrue();
      assertThat(buffer.position()).isZero();
      assertThat(buffer.remaining()).isEqualTo(bytes);
      assertThat(buffer.order()).isEqualTo(ByteOrder.BIG_ENDIAN);
      buffer.order(ByteOrder.LITTLE_ENDIAN).position(1);
      DirectBuffers.give(buffer);
    }
  }

  @Test
  void nobodyGetsWhatAnotherHas() {
    for (int round = 0; round < 2; round++) {
      List<ByteBuffer> taken = new ArrayList<>();
      for (int i = 0; i < 300; i++) {
        taken.add(DirectBuffers.take(8192));
      }
      Set<ByteBuffer> distinct = Collections.newSetFromMap(new IdentityHashMap<>());
      distinct.addAll(taken);
      assertThat(distinct).hasSize(300);
      taken.forEach(DirectBuffers::give);
    }
  }
}

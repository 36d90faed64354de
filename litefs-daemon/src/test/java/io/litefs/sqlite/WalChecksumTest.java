package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.junit.jupiter.api.Test;

class WalChecksumTest {

  @Test
  void followsTheDefinitionInBothByteOrders() {
    for (ByteOrder words : new ByteOrder[] {ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN}) {
      byte[] data = new byte[4096];
      new Random(1).nextBytes(data);
      ByteBuffer in = ByteBuffer.wrap(data).order(words);
      int s1 = 17;
      int s2 = -5;
      while (in.hasRemaining()) {
        s1 += in.getInt() + s2;
        s2 += in.getInt() + s1;
      }
      WalChecksum expected = new WalChecksum(s1, s2);
      ByteBuffer direct = ByteBuffer.allocateDirect(5000).position(3);
      direct.put(data).flip().position(3);
      ByteBuffer heap = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asReadOnlyBuffer();

      assertThat(new WalChecksum(17, -5).update(words, direct)).isEqualTo(expected);
      assertThat(new WalChecksum(17, -5).update(words, heap)).isEqualTo(expected);
      assertThat(
              new WalChecksum(17, -5).update(words, heap, 0, 1000).update(words, heap, 1000, 3096))
          .isEqualTo(expected);
      assertThat(direct.position()).isEqualTo(3);
      assertThat(direct.order()).isEqualTo(ByteOrder.BIG_ENDIAN);
    }
  }

  @Test
  void takesWholePairsOnly() {
    ByteBuffer data = ByteBuffer.allocate(12);
    assertThatThrownBy(() -> WalChecksum.ZERO.update(ByteOrder.BIG_ENDIAN, data))
        .isInstanceOf(IllegalArgumentException.class);
  }
}

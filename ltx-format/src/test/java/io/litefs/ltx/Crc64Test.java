package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class Crc64Test {

  /** The definition, bit by bit. */
  private static long slow(long state, byte[] data, int offset, int length) {
    long s = state;
    for (int i = offset; i < offset + length; i++) {
      s ^= data[i] & 0xFF;
      for (int bit = 0; bit < 8; bit++) {
        s = (s >>> 1) ^ ((s & 1) == 0 ? 0 : 0xD800000000000000L);
      }
    }
    return s;
  }

  @Test
  void givesTheCheckValueOfTheStandard() {
    ByteBuffer digits = ByteBuffer.wrap("123456789".getBytes(StandardCharsets.US_ASCII));
    assertThat(Crc64.value(Crc64.update(Crc64.INITIAL, digits))).isEqualTo(0xB90956C775A41001L);
  }

  @Test
  void agreesWithTheDefinitionForAllLengthsAndKindsOfBuffer() {
    byte[] data = new byte[1000];
    new Random(1).nextBytes(data);
    ByteBuffer direct = ByteBuffer.allocateDirect(data.length).put(data);
    for (int length = 0; length <= 700; length++) {
      int offset = length % 13;
      long expected = slow(length, data, offset, length);
      assertThat(Crc64.update(length, data, offset, length)).isEqualTo(expected);
      ByteBuffer heap = ByteBuffer.wrap(data, offset, length);
      direct.limit(offset + length).position(offset);
      for (ByteBuffer buffer :
          new ByteBuffer[] {heap, heap.slice(), heap.asReadOnlyBuffer(), direct, direct.slice()}) {
        int position = buffer.position();
        assertThat(Crc64.update(length, buffer)).isEqualTo(expected);
        assertThat(buffer.position()).isEqualTo(position);
        assertThat(buffer.remaining()).isEqualTo(length);
      }
    }
  }

  @Property
  void doesNotDependOnHowTheBytesAreDivided(
      @ForAll long state,
      @ForAll @Size(max = 600) byte[] data,
      @ForAll @IntRange(max = 600) int at) {
    int cut = Math.min(at, data.length);
    long divided = Crc64.update(Crc64.update(state, data, 0, cut), data, cut, data.length - cut);
    assertThat(divided).isEqualTo(Crc64.update(state, data, 0, data.length));
  }

  @Property
  void takesInNumbersAsTheirBigEndianBytes(@ForAll long state, @ForAll long number) {
    byte[] bytes = ByteBuffer.allocate(8).putLong(number).array();
    assertThat(Crc64.updateLong(state, number)).isEqualTo(slow(state, bytes, 0, 8));
    assertThat(Crc64.updateInt(state, (int) number)).isEqualTo(slow(state, bytes, 4, 4));
  }

  @Property
  void fileChecksumAndPageChecksumComeFromOnePass(
      @ForAll long seed, @ForAll @IntRange(min = 9, max = 16) int sizeBits, @ForAll int pgno) {
    byte[] page = new byte[1 << sizeBits];
    new Random(seed).nextBytes(page);
    FileChecksum file = new FileChecksum(page.length);
    file.putLong(seed);
    file.putInt(pgno);
    long pageChecksum = file.page(Integer.toUnsignedLong(pgno), ByteBuffer.wrap(page));

    long state = Crc64.updateInt(Crc64.updateLong(Crc64.INITIAL, seed), pgno);
    state = Crc64.update(state, page, 0, page.length);
    assertThat(file.value().value()).isEqualTo(Checksum.FLAG | Crc64.value(state));
    assertThat(pageChecksum)
        .isEqualTo(PageChecksum.of(Integer.toUnsignedLong(pgno), ByteBuffer.wrap(page)));
  }
}

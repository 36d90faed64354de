package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LtxHeaderTest {

  private static final LtxHeader FULL =
      new LtxHeader(
          true,
          65536,
          0xFFFFFFFFL,
          new Txid(2),
          new Txid(Long.MAX_VALUE),
          -1,
          LtxFiles.SOME,
          32,
          Long.MAX_VALUE - 32,
          -1,
          0,
          -1);

  @Test
  void isReadBackWhateverTheByteOrderOfTheBuffer() throws LtxException {
    ByteBuffer buffer = ByteBuffer.allocate(120).order(ByteOrder.LITTLE_ENDIAN).position(7);
    FULL.encode(buffer);
    assertThat(buffer.position()).isEqualTo(107);
    assertThat(buffer.get(7)).isEqualTo((byte) 'L');
    buffer.position(7);
    assertThat(LtxHeader.decode(buffer, "f")).isEqualTo(FULL);
    assertThat(buffer.position()).isEqualTo(107);
  }

  @Test
  void version3IsReadBack() throws LtxException {
    Ltx3Header header =
        new Ltx3Header(false, 512, 7, new Txid(3), new Txid(4), 5, Checksum.ZERO, 32, 0, 1, 2, 3);
    ByteBuffer buffer = ByteBuffer.allocate(100);
    header.encode(buffer);
    assertThat(Ltx3Header.decode(buffer.flip(), "f")).isEqualTo(header);
    assertThat(buffer.getInt(4)).isEqualTo(2);
  }

  /** Each line breaks one rule: page size, commit, TXIDs, pre-apply, WAL offset, size, salt. */
  @ParameterizedTest
  @CsvSource({
    "4097, 1, 2, 2, 8000000000000000, 0, 0, 0, page size",
    "4096, -1, 2, 2, 8000000000000000, 0, 0, 0, commit",
    "4096, 4294967296, 2, 2, 8000000000000000, 0, 0, 0, commit",
    "4096, 1, 0, 2, 8000000000000000, 0, 0, 0, min TXID",
    "4096, 1, 3, 2, 8000000000000000, 0, 0, 0, max TXID",
    "4096, 1, 2, 2, 0000000000000000, 0, 0, 0, pre-apply checksum",
    "4096, 1, 2, 2, 0000000000000001, 0, 0, 0, pre-apply checksum",
    "4096, 1, 1, 2, 8000000000000000, 0, 0, 0, pre-apply checksum",
    "4096, 1, 2, 2, 8000000000000000, -1, 1, 0, WAL offset",
    "4096, 1, 2, 2, 8000000000000000, 1, -1, 0, WAL size",
    "4096, 1, 2, 2, 8000000000000000, 1, 9223372036854775807, 0, WAL size",
    "4096, 1, 2, 2, 8000000000000000, 32, 0, 0, WAL size",
    "4096, 1, 2, 2, 8000000000000000, 0, 32, 0, WAL size",
    "4096, 1, 2, 2, 8000000000000000, 0, 0, 1, WAL salts"
  })
  void isRefusedWithTheNameOfTheField(
      int pageSize,
      long commit,
      long min,
      long max,
      String preApply,
      long walOffset,
      long walSize,
      int salt,
      String field) {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                new LtxHeader(
                    false,
                    pageSize,
                    commit,
                    new Txid(min),
                    new Txid(max),
                    0,
                    Checksum.parse(preApply),
                    walOffset,
                    walSize,
                    0,
                    salt,
                    0))
        .withMessageStartingWith("LTX header: " + field);
  }
}

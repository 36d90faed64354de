package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.SortedMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What is particular to version 3. The damaged file is the recorded snapshot of a database of two
 * pages of 512 bytes: header at 0, frames at 100 and 222, terminator at 265, index of 8 bytes at
 * 271, its size at 279, trailer at 287, end at 303.
 */
class Ltx3Test {

  private static byte[] small() {
    return Vectors.read("ltx-v3/small.ltx");
  }

  private static void assertRefused(byte[] file, String field, long offset) {
    LtxException e =
        catchThrowableOfType(LtxException.class, () -> LtxFiles.read(LtxFiles.decoder3(file)));
    assertThat(e).as("refusal of %s", field).isNotNull();
    assertThat(e.field()).as(e.getMessage()).isEqualTo(field);
    assertThat(e.offset()).as(e.getMessage()).isEqualTo(offset);
  }

  @ParameterizedTest
  @CsvSource({
    "7, 1, flags, 4",
    "7, 4, flags, 4",
    "103, 2, page number, 100",
    "105, 2, page flags, 104",
    "104, 1, page flags, 104",
    "109, 0, size of the LZ4 block, 106",
    "106, 128, size of the LZ4 block, 106",
    "107, 1, size of the LZ4 block, 106",
    "109, 111, LZ4 block, 110",
    "225, 3, page number, 222",
    "225, 1, page number, 222",
    "15, 3, terminator, 265",
    "270, 1, page flags, 269",
    "271, 2, page number in the index, 271",
    "272, 101, offset in the index, 272",
    "273, 121, size in the index, 273",
    "278, 1, end of the index, 278",
    "286, 9, size of the index, 279",
    "279, 255, size of the index, 279",
    "294, 0, post-apply checksum, 287",
    "302, 0, file checksum, 295"
  })
  void damageIsRefusedWithFieldAndOffset(int at, int value, String field, long offset) {
    byte[] file = small();
    file[at] = (byte) value;
    assertRefused(file, field, offset);
  }

  @Test
  void endlessVarintsAreRefused() {
    byte[] file = small();
    byte[] longer = Arrays.copyOf(file, file.length + 20);
    Arrays.fill(longer, 271, longer.length, (byte) 0x80);
    assertRefused(longer, "page number in the index", 271);
    longer[280] = 2;
    assertRefused(longer, "page number in the index", 271);
  }

  @Test
  void bytesAfterTheTrailerAreRefused() {
    assertRefused(Arrays.copyOf(small(), 304), "trailer", 303);
  }

  @Property
  void truncationIsRefused(@ForAll @IntRange(max = 302) int length) {
    assertThatThrownBy(() -> LtxFiles.read(LtxFiles.decoder3(Arrays.copyOf(small(), length))))
        .isInstanceOf(LtxException.class)
        .hasMessageContaining("ends inside these");
  }

  @Test
  void noChangedBitChangesWhatIsRead() throws IOException {
    SortedMap<Long, byte[]> expected = LtxFiles.read(LtxFiles.decoder3(small()));
    int accepted = 0;
    for (int bit = 0; bit < 303 * 8; bit++) {
      byte[] file = small();
      file[bit / 8] ^= (byte) (1 << bit % 8);
      SortedMap<Long, byte[]> pages;
      try {
        pages = LtxFiles.read(LtxFiles.decoder3(file));
      } catch (LtxException e) {
        continue;
      }
      // Inside an LZ4 block there is more than one way to say the same.
      assertThat(bit / 8).isBetween(110, 264);
      expected.forEach((pgno, page) -> assertThat(pages.get(pgno)).isEqualTo(page));
      accepted++;
    }
    assertThat(accepted).isLessThan(50);
  }

  @Test
  void databaseChecksumsMayNotBeThereIfTheFlagsSaySo() {
    byte[] file =
        LtxFiles.encode(
            new Ltx3Header(
                false, 512, 1, new Txid(4), new Txid(4), 1, Checksum.ZERO, 0, 0, 0, 0, 0),
            LtxFiles.pages(512, 1));
    int end = file.length;
    file[end - 16] = 1;
    assertRefused(file, "post-apply checksum", end - 16);
    file[47] = 1;
    assertRefused(file, "pre-apply checksum", 40);
  }

  @Test
  void pagesMayBeLz4FramesWithoutSize() throws IOException {
    byte[] page = LtxFiles.page(512, 1);
    SortedMap<Long, byte[]> pages = LtxFiles.pages(512, 1);
    Ltx3Header header = Ltx3Header.of(LtxFiles.header(false, 512, 1, 1, 1));
    ByteArrayOutputStream frame = new ByteArrayOutputStream();
    // A frame of one block that is not compressed.
    frame.write(new byte[] {0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, (byte) 0x82, 0, 2, 0, (byte) 0x80});
    frame.write(page);
    frame.write(new byte[4]);

    int frameSize = 6 + frame.size();
    ByteBuffer file = ByteBuffer.allocate(100 + frameSize + 6 + 5 + 8 + 16);
    FileChecksum checksum = new FileChecksum(512);
    header.encode(file);
    checksum.header(file, 0);
    file.putInt(1).putShort((short) 0).put(frame.toByteArray());
    checksum.putInt(1);
    checksum.putShort(0);
    checksum.page(1, ByteBuffer.wrap(page));
    byte low = (byte) (frameSize & 0x7F | 0x80);
    byte high = (byte) (frameSize >> 7);
    byte[] rest = {0, 0, 0, 0, 0, 0, 1, 100, low, high, 0};
    file.put(rest).putLong(5);
    checksum.put(rest, 0, rest.length);
    checksum.putLong(5);
    file.putLong(LtxFiles.checksum(pages).value());
    checksum.putLong(LtxFiles.checksum(pages).value());
    file.putLong(checksum.value().value());

    assertThat(LtxFiles.read(LtxFiles.decoder3(file.array())).get(1L)).isEqualTo(page);
  }
}

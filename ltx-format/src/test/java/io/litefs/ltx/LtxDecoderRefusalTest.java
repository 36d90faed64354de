package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.util.Arrays;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What the decoder refuses. Except where the file checksum is what is wrong, it is right, so that
 * the refusal cannot come from there.
 *
 * <p>The file that most tests change: header at 0, page 1 at 100, page 2 at 616, terminator at
 * 1132, post-apply checksum at 1136, file checksum at 1144, end at 1152.
 */
class LtxDecoderRefusalTest {

  private static void assertRefused(byte[] file, String field, long offset) {
    LtxException e =
        catchThrowableOfType(
            LtxException.class,
            () -> {
              try (LtxDecoder decoder = LtxFiles.decoder(file)) {
                LtxFiles.read(decoder);
              }
            });
    assertThat(e).as("refusal of %s", field).isNotNull();
    assertThat(e.field()).as(e.getMessage()).isEqualTo(field);
    assertThat(e.offset()).as(e.getMessage()).isEqualTo(offset);
    assertThat(e.file()).isEqualTo("f.ltx");
    assertThat(e).hasMessageStartingWith("f.ltx: " + field + " at offset " + offset + ": ");
  }

  private static byte[] withLong(byte[] file, int offset, long value) {
    ByteBuffer.wrap(file).putLong(offset, value);
    return LtxFiles.sealed(file);
  }

  private static byte[] withInt(byte[] file, int offset, int value) {
    ByteBuffer.wrap(file).putInt(offset, value);
    return LtxFiles.sealed(file);
  }

  private static byte[] incremental(long commit, long... pgnos) {
    return LtxFiles.encode(LtxFiles.header(false, 512, commit, 7, 7), LtxFiles.pages(512, pgnos));
  }

  @ParameterizedTest
  @CsvSource({
    "0, 4c545832, magic, 0",
    "4, 2, flags, 4",
    "4, 80000000, flags, 4",
    "8, 0, page size, 8",
    "8, 300, page size, 8",
    "8, 100, page size, 8",
    "8, 20000, page size, 8",
    "8, 80000000, page size, 8",
    "16, 80000000, min TXID, 16",
    "20, 0, min TXID, 16",
    "20, 2, max TXID, 24",
    "24, ffffffff, max TXID, 24",
    "28, 0, max TXID, 24",
    "40, 80000000, pre-apply checksum, 40",
    "52, 20, WAL size, 56",
    "48, 80000000, WAL offset, 48",
    "60, 20, WAL size, 56",
    "64, 1, WAL salts, 64",
    "68, 1, WAL salts, 64",
    "96, 1, reserved bytes, 99"
  })
  void headerFieldsOutOfRange(int offset, String value, String field, long at) {
    assertRefused(
        withInt(LtxFiles.small(), offset, Integer.parseUnsignedInt(value, 16)), field, at);
  }

  @Test
  void walSizeThatOverflows() {
    byte[] file = LtxFiles.small();
    ByteBuffer.wrap(file).putLong(48, 32).putLong(56, Long.MAX_VALUE);
    assertRefused(LtxFiles.sealed(file), "WAL size", 56);
  }

  @Property
  void txidsOutOfOrder(@ForAll @LongRange(min = 2) long min, @ForAll @LongRange(min = 1) long max) {
    byte[] file = incremental(2, 1);
    ByteBuffer.wrap(file).putLong(16, min).putLong(24, Math.min(max, min - 1));
    assertRefused(LtxFiles.sealed(file), "max TXID", 24);
  }

  @Property
  void anyUnknownFlag(@ForAll int flags) {
    assertRefused(withInt(LtxFiles.small(), 4, flags | 2), "flags", 4);
  }

  @Property
  void anyOtherMagic(@ForAll int magic) {
    assertRefused(withInt(LtxFiles.small(), 0, magic == 0x4C545831 ? 0 : magic), "magic", 0);
  }

  @Property
  void anyBadPageSize(@ForAll int size) {
    assertRefused(withInt(LtxFiles.small(), 8, size | 1), "page size", 8);
  }

  @Property
  void pagesOutOfOrder(@ForAll @IntRange(min = 1, max = 5) int second) {
    assertRefused(withInt(incremental(9, 5, 6), 616, second), "page number", 616);
  }

  @Property
  void pagesAboveCommit(@ForAll @LongRange(min = 10, max = 0xFFFFFFFFL) long pgno) {
    assertRefused(withInt(incremental(9, 5, 6), 616, (int) pgno), "page number", 616);
  }

  @Test
  void lockPage() {
    int lockPage = (int) new PageSize(512).lockPage();
    assertRefused(
        withInt(incremental(lockPage + 1, lockPage - 1), 100, lockPage), "page number", 100);
  }

  @Test
  void gapInSnapshot() {
    assertRefused(withInt(withInt(LtxFiles.small(), 12, 3), 616, 3), "page number", 616);
  }

  @Test
  void snapshotWithoutItsLastPage() {
    assertRefused(withInt(LtxFiles.small(), 12, 3), "terminator", 1132);
  }

  @Test
  void snapshotWhosePagesHaveAnotherChecksum() {
    assertRefused(
        withLong(LtxFiles.small(), 1136, LtxFiles.SOME.value()), "post-apply checksum", 1136);
  }

  @Test
  void postApplyChecksumWithoutItsBit() {
    byte[] file = incremental(2, 1, 2);
    assertRefused(withLong(file, 1136, 1), "post-apply checksum", 1136);
  }

  @Test
  void droppedDatabaseWithAChecksum() {
    byte[] file = incremental(0);
    assertRefused(withLong(file, 104, LtxFiles.SOME.value()), "post-apply checksum", 104);
  }

  @Test
  void droppedDatabaseWithAPage() {
    assertRefused(withInt(incremental(2, 1), 12, 0), "page number", 100);
  }

  @Test
  void missingTerminator() {
    byte[] file = LtxFiles.small();
    byte[] cut = Arrays.copyOf(file, file.length - 4);
    System.arraycopy(file, 1136, cut, 1132, 16);
    assertRefused(LtxFiles.sealed(cut), "page number", 1132);
  }

  @Property
  void truncation(@ForAll @IntRange(min = 0, max = 1151) int length, @ForAll boolean compressed) {
    byte[] file =
        compressed
            ? LtxFiles.encode(LtxFiles.header(true, 512, 2, 1, 1), LtxFiles.pagesUpTo(512, 2))
            : LtxFiles.small();
    byte[] cut = Arrays.copyOf(file, Math.min(length, file.length - 1));
    assertThatThrownBy(() -> LtxVerifier.verify(LtxFiles.decoder(cut)))
        .isInstanceOf(LtxException.class)
        .hasMessageContaining("ends inside these");
  }

  @Property
  void bytesAfterTheTrailer(@ForAll @IntRange(min = 1, max = 70_000) int more) {
    byte[] file = LtxFiles.small();
    assertRefused(Arrays.copyOf(file, file.length + more), "trailer", file.length);
  }

  @Property
  void anyChangedBit(@ForAll @IntRange(max = 1152 * 8 - 1) int bit, @ForAll boolean snapshot) {
    byte[] file = snapshot ? LtxFiles.small() : incremental(2, 1, 2);
    file[bit / 8] ^= (byte) (1 << bit % 8);
    assertThatThrownBy(() -> LtxVerifier.verify(LtxFiles.decoder(file)))
        .isInstanceOf(LtxException.class);
  }

  @Test
  void fileChecksum() {
    byte[] file = LtxFiles.small();
    file[file.length - 1] ^= 1;
    assertRefused(file, "file checksum", 1144);
  }

  @Test
  void bytesAfterTheTerminatorInsideTheFrame() throws IOException {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    ByteBuffer header = ByteBuffer.allocate(100);
    LtxFiles.header(true, 512, 2, 7, 7).encode(header);
    file.write(header.array());
    file.write(new byte[] {0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, (byte) 0x82});
    file.write(new byte[] {5, 0, 0, (byte) 0x80, 0, 0, 0, 0, 1});
    file.write(new byte[20]);
    assertRefused(file.toByteArray(), "terminator", 104);
  }

  @Test
  void closesTheChannelOfAFileWithoutHeader() {
    ReadableByteChannel channel = LtxFiles.channel(new byte[100]);
    assertThatThrownBy(() -> new LtxDecoder(channel, "f")).isInstanceOf(LtxException.class);
    assertThat(channel.isOpen()).isFalse();
  }
}

package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.SortedMap;
import java.util.TreeMap;
import net.jpountz.xxhash.XXHashFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Frames that others write, see {@code src/test/resources/frames/README.md}. */
class Lz4FrameTest {

  private static final LtxHeader HEADER = LtxFiles.header(true, 4096, 40, 1, 1);

  private static SortedMap<Long, byte[]> pages() {
    SortedMap<Long, byte[]> pages = new TreeMap<>();
    for (int pgno = 1; pgno <= 40; pgno++) {
      byte[] page = new byte[4096];
      for (int i = 0; i < page.length; i++) {
        page[i] = (byte) ((i >> 3) * pgno + (i & 7));
      }
      pages.put((long) pgno, page);
    }
    return pages;
  }

  private static byte[] frame(String name) throws IOException {
    try (InputStream in = Lz4FrameTest.class.getResourceAsStream("/frames/" + name + ".lz4")) {
      return in.readAllBytes();
    }
  }

  /** The frame with the header and the trailer of a compressed file. */
  private static byte[] file(byte[] frame) throws IOException {
    byte[] plain = LtxFiles.encode(HEADER.withCompressed(false), pages());
    ByteBuffer.wrap(plain).putInt(4, 1);
    LtxFiles.sealed(plain);
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    file.write(plain, 0, LtxHeader.SIZE);
    file.write(frame);
    file.write(plain, plain.length - LtxTrailer.SIZE, LtxTrailer.SIZE);
    return file.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "independent-64k",
        "independent-4m-block-checksums",
        "high-compression-256k",
        "linked-64k",
        "linked-high-compression",
        "linked-block-checksums-content-size",
        "linked-tiny-blocks"
      })
  void anyLegalFrameIsRead(String name) throws IOException {
    try (LtxDecoder decoder = LtxFiles.decoder(file(frame(name)))) {
      SortedMap<Long, byte[]> pages = LtxFiles.read(decoder);
      assertThat(pages).hasSize(40);
      pages().forEach((pgno, page) -> assertThat(pages.get(pgno)).isEqualTo(page));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "independent-64k, -1, checksum of the content",
    "linked-64k, -1, checksum of the content",
    "independent-4m-block-checksums, -5, checksum of the block",
    "linked-block-checksums-content-size, 6, checksum of the frame's header",
    "linked-block-checksums-content-size, -1, checksum of the content"
  })
  void damageIsFoundByTheFramesOwnChecksums(String name, int at, String message)
      throws IOException {
    byte[] frame = frame(name);
    frame[at < 0 ? frame.length + at : at] ^= 1;
    assertRefused(file(frame), message);
  }

  @Test
  void contentOfAnotherSizeIsRefused() throws IOException {
    byte[] frame = frame("linked-block-checksums-content-size");
    frame[6]++;
    frame[14] = (byte) (XXHashFactory.safeInstance().hash32().hash(frame, 4, 10, 0) >>> 8);
    assertRefused(file(frame), "holds 164005 bytes, but has 164004");
  }

  @ParameterizedTest
  @CsvSource({
    "04224d18 6140a7, needs a dictionary",
    "04224d18 6240a7, unknown flags 62 40",
    "04224d18 a040a7, unknown flags a0 40",
    "04224d18 603082, unknown flags 60 30",
    "04224d18 60c082, unknown flags 60 c0",
    "04224d18 604083, checksum of the frame's header",
    "02214c18 604082, magic number of LZ4",
    "04224d18 604082 01000100, a block of 65537 bytes",
    "04224d18 604082 01000000 ff, cannot be decompressed",
    "04224d18 604082 00000000, the LZ4 frame ends inside"
  })
  void illegalFramesAreRefused(String hex, String message) throws IOException {
    assertRefused(file(HexFormat.of().parseHex(hex.replace(" ", ""))), message);
  }

  @Test
  void lengthsInTheFileDoNotAllocate() throws IOException {
    // A block that claims to have 4 MiB, in a frame that allows it.
    byte[] frame = new byte[] {0x04, 0x22, 0x4D, 0x18, 0x60, 0x70, 0, 0, 0, 0x40, 0};
    frame[6] = (byte) (XXHashFactory.safeInstance().hash32().hash(frame, 4, 2, 0) >>> 8);
    byte[] file = file(frame);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    assertRefused(file, "ends inside");
    long before = threads.getCurrentThreadAllocatedBytes();
    try (LtxDecoder decoder = LtxFiles.decoder(file)) {
      decoder.next(ByteBuffer.allocate(4096));
    } catch (LtxException e) {
      // as above
    }
    assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(300_000);
  }

  private static void assertRefused(byte[] file, String message) {
    assertThatThrownBy(() -> LtxVerifier.verify(LtxFiles.decoder(file)))
        .isInstanceOf(LtxException.class)
        .hasMessageContaining(message);
  }
}

package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvFileSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that the original implementation wrote. */
class VectorTest {

  private record Page(long pgno, ByteBuffer bytes, long checksum) {}

  static List<String> plainFiles() {
    return Vectors.DATABASES.stream().flatMap(db -> Vectors.list("ltx-v1-plain/" + db).stream()).toList();
  }

  @ParameterizedTest
  @CsvFileSource(resources = "/vectors/expected.csv", numLinesToSkip = 1)
  void decodesToTheRecordedFields(
      String name, String min, String max, long commit, int pages, String pre, String post, long walOffset, long walSize)
      throws IOException {
    for (String folder : List.of("ltx-v1-lz4", "ltx-v1-plain")) {
      try (LtxDecoder decoder = decoder(folder + "/" + name)) {
        LtxHeader header = decoder.header();
        assertThat(header.compressed()).isEqualTo(folder.endsWith("lz4"));
        assertThat(header.minTxid()).hasToString(min);
        assertThat(header.maxTxid()).hasToString(max);
        assertThat(header.commit()).isEqualTo(commit);
        assertThat(header.preApply()).hasToString(pre);
        assertThat(header.walOffset()).isEqualTo(walOffset);
        assertThat(header.walSize()).isEqualTo(walSize);
        assertThat(pages(decoder)).hasSize(pages);
        assertThat(decoder.trailer().postApply()).hasToString(post);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("plainFiles")
  void encodesPlainFilesToTheSameBytes(String path) throws IOException {
    try (LtxDecoder decoder = decoder(path)) {
      assertThat(encode(decoder, decoder.header())).isEqualTo(Vectors.read(path));
    }
  }

  @ParameterizedTest
  @MethodSource("plainFiles")
  void compressedFilesHoldTheSamePages(String path) throws IOException {
    byte[] compressed;
    try (LtxDecoder decoder = decoder(path)) {
      compressed = encode(decoder, decoder.header().withCompressed(true));
    }
    try (LtxDecoder plain = decoder(path);
        LtxDecoder again = new LtxDecoder(Channels.newChannel(new ByteArrayInputStream(compressed)), path);
        LtxDecoder original = decoder(path.replace("plain", "lz4"))) {
      List<Page> pages = pages(plain);
      assertThat(pages(again)).isEqualTo(pages);
      assertThat(pages(original)).isEqualTo(pages);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"ltx-v1-lz4", "ltx-v1-plain"})
  void applyingAllFilesInOrderGivesTheDatabase(String folder) throws IOException {
    for (String db : Vectors.DATABASES) {
      byte[] database = {};
      Checksum before = Checksum.ZERO;
      for (String path : Vectors.list(folder + "/" + db)) {
        try (LtxDecoder decoder = decoder(path)) {
          LtxHeader header = decoder.header();
          assertThat(header.preApply()).isEqualTo(before);
          database = Arrays.copyOf(database, (int) header.commit() * header.pageSize());
          for (Page page : pages(decoder)) {
            page.bytes.get(database, (int) (page.pgno - 1) * header.pageSize(), header.pageSize());
          }
          before = decoder.trailer().postApply();
          assertThat(checksum(database, header.pageSize())).isEqualTo(before.value());
        }
      }
      assertThat(database).isEqualTo(Vectors.read("ltx-v3/" + db));
    }
  }

  private static long checksum(byte[] database, int pageSize) {
    long checksum = 0;
    for (int i = 0; i < database.length / pageSize; i++) {
      checksum ^= PageChecksum.of(i + 1, ByteBuffer.wrap(database, i * pageSize, pageSize));
    }
    return Checksum.FLAG | checksum;
  }

  private static LtxDecoder decoder(String path) throws IOException {
    return new LtxDecoder(Channels.newChannel(new ByteArrayInputStream(Vectors.read(path))), path);
  }

  private static List<Page> pages(LtxDecoder decoder) throws IOException {
    List<Page> pages = new ArrayList<>();
    ByteBuffer page = ByteBuffer.allocate(PageSize.MAX);
    for (long pgno = decoder.next(page); pgno != 0; pgno = decoder.next(page)) {
      ByteBuffer copy = ByteBuffer.allocate(page.remaining()).put(page).flip();
      assertThat(decoder.pageChecksum()).isEqualTo(PageChecksum.of(pgno, copy));
      pages.add(new Page(pgno, copy, decoder.pageChecksum()));
    }
    return pages;
  }

  private static byte[] encode(LtxDecoder decoder, LtxHeader header) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    LtxEncoder encoder = new LtxEncoder(Channels.newChannel(bytes), header);
    for (Page page : pages(decoder)) {
      assertThat(encoder.page(page.pgno, page.bytes.duplicate())).isEqualTo(page.checksum);
    }
    encoder.finish(decoder.trailer().postApply());
    assertThat(encoder.bytesWritten()).isEqualTo(bytes.size());
    return bytes.toByteArray();
  }
}

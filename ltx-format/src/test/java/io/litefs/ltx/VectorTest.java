package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.channels.Channels;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvFileSource;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that the original implementation wrote. */
class VectorTest {

  static List<String> plainFiles() {
    return Vectors.DATABASES.stream()
        .flatMap(db -> Vectors.list("ltx-v1-plain/" + db).stream())
        .toList();
  }

  @ParameterizedTest
  @CsvFileSource(resources = "/vectors/expected.csv", numLinesToSkip = 1)
  void decodesToTheRecordedFields(
      String name,
      String min,
      String max,
      long commit,
      int pages,
      String preApply,
      String postApply,
      long walOffset,
      long walSize)
      throws IOException {
    for (String folder : List.of("ltx-v1-lz4", "ltx-v1-plain")) {
      try (LtxDecoder decoder = decoder(folder + "/" + name)) {
        LtxHeader header = decoder.header();
        assertThat(header.compressed()).isEqualTo(folder.endsWith("lz4"));
        assertThat(header.minTxid()).hasToString(min);
        assertThat(header.maxTxid()).hasToString(max);
        assertThat(header.commit()).isEqualTo(commit);
        assertThat(header.preApply()).hasToString(preApply);
        assertThat(header.walOffset()).isEqualTo(walOffset);
        assertThat(header.walSize()).isEqualTo(walSize);
        assertThat(LtxFiles.read(decoder)).hasSize(pages);
        assertThat(decoder.trailer().postApply()).hasToString(postApply);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("plainFiles")
  void plainFilesAreWrittenWithTheSameBytes(String path) throws IOException {
    try (LtxDecoder decoder = decoder(path)) {
      SortedMap<Long, byte[]> pages = LtxFiles.read(decoder);
      assertThat(LtxFiles.encode(decoder.header(), pages, decoder.trailer().postApply()))
          .isEqualTo(Vectors.read(path));
    }
  }

  @ParameterizedTest
  @MethodSource("plainFiles")
  void compressedFilesHoldTheSamePages(String path) throws IOException {
    try (LtxDecoder plain = decoder(path);
        LtxDecoder original = decoder(path.replace("plain", "lz4"))) {
      SortedMap<Long, byte[]> pages = LtxFiles.read(plain);
      assertSame(LtxFiles.read(original), pages);
      byte[] compressed =
          LtxFiles.encode(plain.header().withCompressed(true), pages, plain.trailer().postApply());
      assertThat(compressed.length).isLessThan(Vectors.read(path).length / 2);
      assertSame(LtxFiles.read(LtxFiles.decoder(compressed)), pages);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"ltx-v1-lz4", "ltx-v1-plain"})
  void applyingAllFilesInOrderGivesTheDatabase(String folder) throws IOException {
    for (String db : Vectors.DATABASES) {
      byte[] database = {};
      LtxVerifier.Summary before = null;
      for (String path : Vectors.list(folder + "/" + db)) {
        LtxVerifier.Summary summary = LtxVerifier.verify(decoder(path));
        if (before != null) {
          LtxVerifier.checkFollows(before, summary);
        }
        database = apply(database, decoder(path));
        assertThat(checksum(database, summary.header().pageSize()))
            .isEqualTo(summary.position().checksum());
        before = summary;
      }
      assertThat(database).isEqualTo(Vectors.read("ltx-v3/" + db));
    }
  }

  @ParameterizedTest
  @CsvSource({"journal.db, journal", "wal.db, wal", "small.db, small"})
  void version3HoldsTheDatabase(String db, String name) throws IOException {
    byte[] file = Vectors.read("ltx-v3/" + name + ".ltx");
    try (Ltx3Decoder decoder = LtxFiles.decoder3(file)) {
      assertThat(apply(new byte[0], decoder)).isEqualTo(Vectors.read("ltx-v3/" + db));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"journal", "wal", "small"})
  void version3IsWrittenWithTheSamePages(String name) throws IOException {
    try (Ltx3Decoder decoder = LtxFiles.decoder3(Vectors.read("ltx-v3/" + name + ".ltx"))) {
      SortedMap<Long, byte[]> pages = LtxFiles.read(decoder);
      byte[] again = LtxFiles.encode(decoder.header(), pages, decoder.trailer().postApply());
      Ltx3Decoder read = LtxFiles.decoder3(again);
      assertThat(read.header()).isEqualTo(decoder.header());
      assertSame(LtxFiles.read(read), pages);
    }
  }

  @ParameterizedTest
  @CsvSource({"journal.db, journal", "wal.db, wal", "small.db, small"})
  void compactingAllFilesGivesTheDatabase(String db, String name) throws IOException {
    for (LtxCompactor.Format format : LtxCompactor.Format.values()) {
      List<LtxReader> readers = new ArrayList<>();
      for (String path : Vectors.list("ltx-v1-lz4/" + db)) {
        readers.add(decoder(path));
      }
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      LtxCompactor.compact(readers, Channels.newChannel(out), format);
      LtxReader result =
          format == LtxCompactor.Format.V3
              ? LtxFiles.decoder3(out.toByteArray())
              : LtxFiles.decoder(out.toByteArray());
      assertThat(apply(new byte[0], result)).isEqualTo(Vectors.read("ltx-v3/" + db));
      assertThat(result.header().maxTxid()).isEqualTo(new Txid(readers.size()));
    }
  }

  private static byte[] apply(byte[] database, LtxReader reader) throws IOException {
    int pageSize = reader.header().pageSize();
    byte[] result = Arrays.copyOf(database, (int) reader.header().commit() * pageSize);
    LtxFiles.read(reader)
        .forEach(
            (pgno, page) ->
                System.arraycopy(page, 0, result, (int) (pgno - 1) * pageSize, pageSize));
    return result;
  }

  private static Checksum checksum(byte[] database, int pageSize) {
    SortedMap<Long, byte[]> pages = LtxFiles.pages(pageSize);
    for (int i = 0; i < database.length; i += pageSize) {
      pages.put(i / pageSize + 1L, Arrays.copyOfRange(database, i, i + pageSize));
    }
    return LtxFiles.checksum(pages);
  }

  private static LtxDecoder decoder(String path) throws IOException {
    return LtxFiles.decoder(Vectors.read(path));
  }

  private static void assertSame(SortedMap<Long, byte[]> actual, SortedMap<Long, byte[]> expected) {
    assertThat(actual.keySet()).isEqualTo(expected.keySet());
    expected.forEach((pgno, page) -> assertThat(actual.get(pgno)).isEqualTo(page));
  }
}

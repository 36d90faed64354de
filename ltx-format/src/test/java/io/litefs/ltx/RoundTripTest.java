package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** What goes into a file comes out of it. */
class RoundTripTest {

  /** Pages whose bytes follow from a seed; some of them shrink well, some do not. */
  record Content(
      boolean compressed,
      boolean checksums,
      int pageSize,
      boolean snapshot,
      long commit,
      long seed) {

    LtxHeader header() {
      return LtxFiles.header(compressed, pageSize, commit, snapshot ? 1 : 7, snapshot ? 5 : 7);
    }

    Ltx3Header header3() {
      Ltx3Header h = Ltx3Header.of(header());
      return checksums
          ? h
          : new Ltx3Header(
              false, pageSize, commit, h.minTxid(), h.maxTxid(), 1, Checksum.ZERO, 0, 0, 0, 0, 2);
    }

    SortedMap<Long, byte[]> pages() {
      Random random = new Random(seed);
      SortedMap<Long, byte[]> pages = new TreeMap<>();
      for (long pgno = 1; pgno <= commit; pgno++) {
        if (snapshot || random.nextInt(3) == 0) {
          byte[] page = new byte[pageSize];
          int noise = random.nextInt(pageSize + 1);
          for (int i = 0; i < noise; i++) {
            page[i] = (byte) random.nextInt();
          }
          pages.put(pgno, page);
        }
      }
      return pages;
    }
  }

  @Provide
  Arbitrary<Content> contents() {
    return Combinators.combine(
            Arbitraries.of(false, true),
            Arbitraries.of(false, true),
            Arbitraries.integers().between(9, 16).map(bits -> 1 << bits),
            Arbitraries.of(false, true),
            Arbitraries.longs().between(0, 12),
            Arbitraries.longs())
        .as(Content::new);
  }

  @Property
  void version1(@ForAll("contents") Content content) throws IOException {
    byte[] file = LtxFiles.encode(content.header(), content.pages());
    try (LtxDecoder decoder = LtxFiles.decoder(file)) {
      assertThat(decoder.header()).isEqualTo(content.header());
      assertSame(LtxFiles.read(decoder), content.pages());
      assertThat(decoder.bytesRead()).isEqualTo(file.length);
      assertThat(decoder.trailer().postApply())
          .isEqualTo(LtxFiles.postApply(content.header(), content.pages()));
    }
  }

  @Property
  void version3(@ForAll("contents") Content content) throws IOException {
    byte[] file = LtxFiles.encode(content.header3(), content.pages());
    try (Ltx3Decoder decoder = LtxFiles.decoder3(file)) {
      assertThat(decoder.header()).isEqualTo(content.header3());
      assertSame(LtxFiles.read(decoder), content.pages());
      assertThat(decoder.bytesRead()).isEqualTo(file.length);
    }
  }

  private static void assertSame(SortedMap<Long, byte[]> actual, SortedMap<Long, byte[]> expected) {
    assertThat(actual.keySet()).isEqualTo(expected.keySet());
    expected.forEach((pgno, bytes) -> assertThat(actual.get(pgno)).isEqualTo(bytes));
  }
}

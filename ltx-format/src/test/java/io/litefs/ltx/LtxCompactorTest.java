package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.LtxCompactor.Format;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class LtxCompactorTest {

  private static final int PAGE_SIZE = 512;

  /**
   * A transaction on a database of few pages.
   *
   * @param written one bit for each page; what is above commit does not count
   */
  record Transaction(long commit, int written, int content) {}

  @Provide
  Arbitrary<List<Transaction>> histories() {
    return Combinators.combine(
            Arbitraries.longs().between(0, 10),
            Arbitraries.integers().between(0, 1 << 11),
            Arbitraries.integers())
        .as(Transaction::new)
        .list()
        .ofMinSize(1)
        .ofMaxSize(7);
  }

  /** Databases may shrink, grow without writing all of what is new, be dropped and come back. */
  @Property
  void applyingTheResultIsApplyingTheFiles(
      @ForAll("histories") List<Transaction> history, @ForAll Format format, @ForAll int from)
      throws IOException {
    List<byte[]> files = new ArrayList<>();
    List<byte[]> states = new ArrayList<>(List.of(new byte[0]));
    for (Transaction transaction : history) {
      files.add(file(files.size() + 1L, transaction, states.get(files.size())));
      states.add(apply(states.get(files.size() - 1), LtxFiles.decoder(last(files))));
    }
    int start = Math.floorMod(from, files.size());

    byte[] result = compact(files.subList(start, files.size()), format);

    LtxReader reader = open(result, format);
    assertThat(apply(states.get(start), reader)).isEqualTo(last(states));
    assertThat(reader.header().minTxid()).isEqualTo(new Txid(start + 1));
    assertThat(reader.header().maxTxid()).isEqualTo(new Txid(files.size()));
    assertThat(reader.header().preApply())
        .isEqualTo(start == 0 ? Checksum.ZERO : checksum(states.get(start)));
    assertThat(reader.trailer().postApply()).isEqualTo(checksum(last(states)));
  }

  @Test
  void aResultCanBeCompactedAgain() throws IOException {
    byte[] one = file(1, new Transaction(2, 3, 1), new byte[0]);
    byte[] state1 = apply(new byte[0], LtxFiles.decoder(one));
    byte[] two = file(2, new Transaction(3, 4, 2), state1);
    byte[] state2 = apply(state1, LtxFiles.decoder(two));
    byte[] three = file(3, new Transaction(3, 1, 3), state2);

    byte[] steps = compact(List.of(compact(List.of(one, two), Format.V1_LZ4), three), Format.V1);
    assertThat(steps).isEqualTo(compact(List.of(one, two, three), Format.V1));
  }

  @Test
  void gapsAndOverlapsAreRefused() {
    byte[] one = file(1, new Transaction(2, 3, 1), new byte[0]);
    byte[] three = file(3, new Transaction(2, 3, 1), new byte[PAGE_SIZE]);
    assertThatThrownBy(() -> compact(List.of(one, three), Format.V1))
        .isInstanceOf(LtxException.class)
        .hasMessageContaining("min TXID")
        .hasMessageContaining("0000000000000003 does not follow 0000000000000001");
    assertThatThrownBy(() -> compact(List.of(one, one), Format.V1))
        .isInstanceOf(LtxException.class);
  }

  @Test
  void filesOfDifferentHistoriesAreRefused() {
    byte[] one = file(1, new Transaction(2, 3, 1), new byte[0]);
    byte[] two = file(2, new Transaction(2, 3, 1), new byte[PAGE_SIZE]);
    assertThatThrownBy(() -> compact(List.of(one, two), Format.V1))
        .isInstanceOf(LtxException.class)
        .hasMessageContaining("pre-apply checksum");
  }

  @Test
  void aTransactionThatDoesNotLeaveWhatItSaysIsFoundInASnapshot() {
    byte[] one = file(1, new Transaction(2, 3, 1), new byte[0]);
    byte[] two = file(2, new Transaction(2, 1, 2), apply(new byte[0], one));
    ByteBuffer.wrap(two).putLong(two.length - 16, LtxFiles.SOME.value());
    LtxFiles.sealed(two);
    assertThatThrownBy(() -> compact(List.of(one, two), Format.V3))
        .isInstanceOf(LtxException.class)
        .hasMessageContaining("post-apply checksum at offset " + (two.length - 16));
  }

  @Test
  void anotherPageSizeIsRefused() {
    byte[] one = LtxFiles.small();
    byte[] two = LtxFiles.encode(LtxFiles.header(false, 1024, 1, 2, 2), LtxFiles.pages(1024, 1));
    assertThatThrownBy(() -> compact(List.of(one, two), Format.V1))
        .isInstanceOf(LtxException.class)
        .hasMessageContaining("page size");
  }

  @Test
  void filesWithoutDatabaseChecksumsGiveOneWithout() throws IOException {
    Ltx3Header header =
        new Ltx3Header(false, 512, 1, new Txid(4), new Txid(4), 1, Checksum.ZERO, 32, 0, 1, 2, 3);
    byte[] file = LtxFiles.encode(header, LtxFiles.pages(512, 1));
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                LtxCompactor.compact(
                    List.of(LtxFiles.decoder3(file)),
                    Channels.newChannel(new ByteArrayOutputStream()),
                    Format.V1));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    LtxCompactor.compact(List.of(LtxFiles.decoder3(file)), Channels.newChannel(out), Format.V3);
    Ltx3Decoder result = LtxFiles.decoder3(out.toByteArray());
    assertThat(LtxFiles.read(result)).hasSize(1);
    assertThat(result.header().hasDatabaseChecksums()).isFalse();
    assertThat(result.trailer().postApply()).isEqualTo(Checksum.ZERO);
  }

  @Test
  void nothingCannotBeCompacted() {
    assertThatIllegalArgumentException().isThrownBy(() -> compact(List.of(), Format.V1));
  }

  private static byte[] file(long txid, Transaction transaction, byte[] before) {
    SortedMap<Long, byte[]> pages = new TreeMap<>();
    for (long pgno = 1; pgno <= transaction.commit; pgno++) {
      if (txid == 1 || (transaction.written >>> (pgno - 1) & 1) != 0) {
        byte[] page = new byte[PAGE_SIZE];
        Arrays.fill(page, (byte) (transaction.content + pgno * 31));
        pages.put(pgno, page);
      }
    }
    LtxHeader header =
        new LtxHeader(
            false,
            PAGE_SIZE,
            transaction.commit,
            new Txid(txid),
            new Txid(txid),
            txid,
            txid == 1 ? Checksum.ZERO : checksum(before),
            32,
            1,
            2,
            3,
            4);
    return LtxFiles.encode(header, pages, checksum(apply(before, transaction.commit, pages)));
  }

  private static byte[] compact(List<byte[]> files, Format format) throws IOException {
    List<LtxDecoder> readers = new ArrayList<>();
    for (byte[] file : files) {
      readers.add(LtxFiles.decoder(file));
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    LtxCompactor.compact(readers, Channels.newChannel(out), format);
    return out.toByteArray();
  }

  private static LtxReader open(byte[] file, Format format) throws IOException {
    return format == Format.V3 ? LtxFiles.decoder3(file) : LtxFiles.decoder(file);
  }

  private static byte[] apply(byte[] database, byte[] file) {
    try {
      return apply(database, LtxFiles.decoder(file));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static byte[] apply(byte[] database, LtxReader reader) throws IOException {
    return apply(database, reader.header().commit(), LtxFiles.read(reader));
  }

  private static byte[] apply(byte[] database, long commit, SortedMap<Long, byte[]> pages) {
    byte[] result = Arrays.copyOf(database, (int) commit * PAGE_SIZE);
    pages.forEach(
        (pgno, page) -> System.arraycopy(page, 0, result, (int) (pgno - 1) * PAGE_SIZE, PAGE_SIZE));
    return result;
  }

  private static Checksum checksum(byte[] database) {
    long checksum = 0;
    for (int i = 0; i < database.length; i += PAGE_SIZE) {
      checksum ^= PageChecksum.of(i / PAGE_SIZE + 1L, ByteBuffer.wrap(database, i, PAGE_SIZE));
    }
    return new Checksum(Checksum.FLAG | checksum);
  }

  private static <T> T last(List<T> list) {
    return list.get(list.size() - 1);
  }
}

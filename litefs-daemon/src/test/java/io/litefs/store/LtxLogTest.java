package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LtxLogTest {

  private static final int PAGE_SIZE = 512;
  private static final long FLAG = 1L << 63;

  @TempDir Path home;
  private Path dir;

  @BeforeEach
  void makeDirectory() {
    dir = home.resolve("ltx");
  }

  private static Checksum checksum(int content) {
    return new Checksum(PageChecksum.of(1, page(content)) | FLAG);
  }

  private static ByteBuffer page(int content) {
    ByteBuffer page = ByteBuffer.allocateDirect(PAGE_SIZE);
    page.putInt(0, content);
    return page;
  }

  /** Appends a transaction that sets the one page of a database to its TXID. */
  private static LtxLog.Writer write(LtxLog log, int txid) throws IOException {
    Checksum before = txid == 1 ? Checksum.ZERO : checksum(txid - 1);
    LtxLog.Writer writer =
        log.begin(
            new LtxHeader(
                true, PAGE_SIZE, 1, new Txid(txid), new Txid(txid), 1, before, 0, 0, 0, 0, 7));
    writer.page(1, page(txid));
    writer.finish(checksum(txid));
    return writer;
  }

  private static void append(LtxLog log, int count) throws IOException {
    for (int txid = 1; txid <= count; txid++) {
      write(log, txid).append();
    }
  }

  private LtxLog open() throws IOException {
    return LtxLog.open(dir, false, Runnable::run);
  }

  @Test
  void endsAtTheLastAppendedTransactionWhenOpenedAgain() throws IOException {
    LtxLog log = open();
    append(log, 3);
    log.close();
    LtxLog again = open();
    assertThat(again.end()).isEqualTo(new Pos(new Txid(3), checksum(3)));
    assertThat(again.fileCount()).isEqualTo(3);
    assertThat(again.files()).hasSize(3);
  }

  @Test
  void isEmptyBeforeTheFirstTransaction() throws IOException {
    assertThat(open().end()).isEqualTo(Pos.ZERO);
  }

  @Test
  void abortedTransactionLeavesNothing() throws IOException {
    LtxLog log = open();
    append(log, 1);
    write(log, 2).abort();
    assertThat(log.end().txid().value()).isEqualTo(1);
    assertThat(log.fileFrom(2)).isNull();
  }

  @Test
  void revokedTransactionLeavesNothing() throws IOException {
    LtxLog log = open();
    append(log, 1);
    LtxLog.Writer writer = write(log, 2);
    writer.append();
    log.revokeLast(writer);
    assertThat(log.end().txid().value()).isEqualTo(1);
    assertThat(log.fileCount()).isEqualTo(1);
    log.sync();
  }

  @Test
  void removesTornAndEmptyFilesAtItsEnd() throws IOException {
    append(open(), 4);
    Path third = dir.resolve("0000000000000003-0000000000000003.ltx");
    Path fourth = dir.resolve("0000000000000004-0000000000000004.ltx");
    byte[] bytes = Files.readAllBytes(third);
    bytes[bytes.length - 1] ^= 1;
    Files.write(third, bytes);
    Files.write(fourth, new byte[0]);
    LtxLog log = open();
    assertThat(log.end().txid().value()).isEqualTo(2);
    assertThat(third).doesNotExist();
    assertThat(fourth).doesNotExist();
  }

  /** A power cut may take a part of one file, none of the next, and all of the one behind it. */
  @Test
  void removesWhatFollowsATornFileIfItsEndIsTornToo() throws IOException {
    LtxLog before = open();
    append(before, 6);
    before.close();
    for (int torn : new int[] {3, 6}) {
      Path file = dir.resolve(String.format("%016x-%016x.ltx", torn, torn));
      byte[] bytes = Files.readAllBytes(file);
      java.util.Arrays.fill(bytes, bytes.length / 2, bytes.length, (byte) 0);
      Files.write(file, bytes);
    }
    LtxLog log = open();
    assertThat(log.end().txid().value()).isEqualTo(2);
    assertThat(log.wasTorn()).isTrue();
    assertThat(log.fileCount()).isEqualTo(2);
  }

  @Test
  void beginsAfterTheLastGap() throws IOException {
    append(open(), 5);
    Files.delete(dir.resolve("0000000000000003-0000000000000003.ltx"));
    LtxLog log = open();
    assertThat(log.fileFrom(2)).isNull();
    assertThat(log.fileFrom(4)).isNotNull();
    assertThat(log.files()).hasSize(2);
  }

  @Test
  void retentionRemovesTheOldestButNeverTheLast() throws IOException {
    LtxLog log = open();
    append(log, 4);
    for (int txid : new int[] {1, 2, 4}) {
      Files.setLastModifiedTime(log.fileFrom(txid), FileTime.fromMillis(1000));
    }
    assertThat(log.removeOlderThan(2000, Long.MAX_VALUE)).isEqualTo(2);
    assertThat(log.fileFrom(2)).isNull();
    assertThat(log.fileFrom(3)).exists();
    Files.setLastModifiedTime(log.fileFrom(3), FileTime.fromMillis(1000));
    assertThat(log.removeOlderThan(2000, Long.MAX_VALUE)).isEqualTo(1);
    assertThat(log.removeOlderThan(Long.MAX_VALUE, Long.MAX_VALUE)).isZero();
    assertThat(log.end().txid().value()).isEqualTo(4);
  }

  @Test
  void snapshotReplacesWhatWasBefore() throws IOException {
    LtxLog log = open();
    append(log, 3);
    Path temporary = log.temporaryFile();
    LtxHeader header =
        new LtxHeader(
            true, PAGE_SIZE, 1, new Txid(1), new Txid(9), 1, Checksum.ZERO, 0, 0, 0, 0, 7);
    try (java.nio.channels.FileChannel out =
        java.nio.channels.FileChannel.open(
            temporary,
            java.nio.file.StandardOpenOption.CREATE,
            java.nio.file.StandardOpenOption.WRITE)) {
      io.litefs.ltx.LtxEncoder encoder = new io.litefs.ltx.LtxEncoder(out, header);
      encoder.page(1, page(9));
      encoder.finish(checksum(9));
    }
    log.adopt(temporary, header);
    assertThat(log.fileCount()).isEqualTo(1);
    assertThat(log.end()).isEqualTo(new Pos(new Txid(9), checksum(9)));
    assertThat(open().end()).isEqualTo(new Pos(new Txid(9), checksum(9)));
    write(log, 10).append();
    assertThat(open().files()).hasSize(2);
  }

  @Test
  void leftoversOfReceivingAreRemoved() throws IOException {
    Path temporary = open().temporaryFile();
    Files.write(temporary, new byte[10]);
    open();
    assertThat(temporary).doesNotExist();
  }

  @Test
  void manyUnsyncedFilesAreSyncedAtOnce() throws IOException {
    LtxLog log = open();
    append(log, 50);
    assertThat(log.hasUnsynced()).isTrue();
    log.sync();
    assertThat(log.hasUnsynced()).isFalse();
  }

  @Test
  void syncedFilesThatThePowerCutTookAreRestored() throws IOException {
    LtxLog log = open();
    append(log, 3);
    log.sync();
    write(log, 4).append(); // not synced: may go
    Path second = log.fileFrom(2);
    byte[] content = Files.readAllBytes(second);
    Files.delete(second);
    Files.write(log.fileFrom(3), new byte[0]);
    Files.delete(log.fileFrom(4));
    LtxLog again = open();
    assertThat(again.end()).isEqualTo(new Pos(new Txid(3), checksum(3)));
    assertThat(second).hasBinaryContent(content);
    assertThat(home.resolve("segment")).doesNotExist();
  }

  @Test
  void filesThatRetentionRemovedStayGone() throws IOException {
    LtxLog log = open();
    append(log, 3);
    log.sync();
    assertThat(log.removeOlderThan(Long.MAX_VALUE, Long.MAX_VALUE)).isEqualTo(2);
    LtxLog again = open();
    assertThat(again.files()).hasSize(1);
    assertThat(again.fileFrom(1)).isNull();
  }

  @Test
  void closedLogIsPlainFiles() throws IOException {
    LtxLog log = open();
    append(log, 2);
    log.sync();
    assertThat(home.resolve("segment")).exists();
    log.close();
    assertThat(home.resolve("segment")).doesNotExist();
    try (java.util.stream.Stream<Path> files = Files.list(dir)) {
      assertThat(files).hasSize(2);
    }
  }
}

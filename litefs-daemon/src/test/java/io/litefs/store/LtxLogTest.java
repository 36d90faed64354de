package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxEncoder;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LtxLogTest {

  private static final int PAGE_SIZE = 512;
  private static final long FLAG = 1L << 63;

  @TempDir Path home;
  private Path dir;

  /** What a disk replaces while it removes a file. */
  private LtxLog replacing;

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

  /** A finished transaction that sets the one page of a database to its TXID. */
  private static LtxLog.Writer write(LtxLog log, int txid) throws IOException {
    return write(log, txid, txid);
  }

  private static LtxLog.Writer write(LtxLog log, int txid, int content) throws IOException {
    LtxLog.Writer writer = log.begin(header(txid, txid));
    writer.page(1, page(content));
    writer.finish(checksum(content));
    return writer;
  }

  private static LtxHeader header(int min, int max) {
    Checksum before = min == 1 ? Checksum.ZERO : checksum(min - 1);
    return new LtxHeader(
        true, PAGE_SIZE, 1, new Txid(min), new Txid(max), 1, before, 0, 0, 0, 0, 7);
  }

  /** A file as it has been received, which sets the page to its last TXID. */
  private static Path received(LtxLog log, LtxHeader header) throws IOException {
    Path temporary = log.temporaryFile();
    int content = (int) header.maxTxid().value();
    try (FileChannel out =
        FileChannel.open(temporary, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      LtxEncoder encoder = new LtxEncoder(out, header);
      encoder.page(1, page(content));
      encoder.finish(checksum(content));
    }
    return temporary;
  }

  private Path file(int min, int max) {
    return dir.resolve(String.format("%016x-%016x.ltx", min, max));
  }

  /** Fails while it is told to. */
  private static final class FailingDisk extends LogDisk {
    private boolean datasyncFails;
    private boolean syncfsFails;

    @Override
    void datasync(PosixFile file) throws ErrnoException {
      if (datasyncFails) {
        throw new ErrnoException(Errno.EIO, "fdatasync " + file);
      }
      super.datasync(file);
    }

    @Override
    void syncFilesystem(PosixFile file) throws ErrnoException {
      if (syncfsFails) {
        throw new ErrnoException(Errno.EIO, "syncfs " + file);
      }
      super.syncFilesystem(file);
    }
  }

  private static void append(LtxLog log, int count) throws IOException {
    for (int txid = 1; txid <= count; txid++) {
      write(log, txid).append();
    }
  }

  /** Another thread does something when a file is about to be removed. */
  private static final class Meanwhile extends LogDisk {
    private Path file;
    private FutureTask<Void> task;

    interface Action {
      void run() throws IOException;
    }

    void beforeRemoving(Path name, Action action) {
      file = name;
      task =
          new FutureTask<>(
              () -> {
                action.run();
                return null;
              });
    }

    @Override
    void remove(Path name) throws IOException {
      if (name.equals(file)) {
        file = null;
        Thread thread = new Thread(task);
        thread.start();
        while (thread.isAlive() && thread.getState() != Thread.State.BLOCKED) {
          Thread.onSpinWait(); // until it has done it or stands before a lock of the log
        }
      }
      super.remove(name);
    }

    void await() throws Exception {
      assertThat(file).isNull();
      task.get();
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

  /** At 200 bytes of memory for each file the process would end before it has opened the log. */
  @Test
  void aLogOfVeryManyFilesNeedsLittleMemory() throws Exception {
    int count = 20_000;
    LtxLog log = open();
    append(log, count);
    long bytes = log.byteCount();
    long last = Files.size(log.lastFile());
    log.close();
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UseSerialGC",
            "-Xmx6m",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            LongLog.class.getName(),
            dir.toString());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(output)
        .isEqualToIgnoringNewLines(
            count
                + " to "
                + count
                + ", "
                + bytes
                + " bytes, removed "
                + (count - 1)
                + ", left "
                + last
                + " bytes");
  }

  /** What a start has not measured may go before it does, or come anew. */
  @Test
  void bytesAreRightWhateverGoesBeforeTheyAreMeasured() throws Exception {
    int count = 5000;
    LtxLog before = open();
    append(before, count);
    before.close();

    LtxLog log = open();
    log.setAside(count - 10, Long.MAX_VALUE, home.resolve("aside"));
    write(log, count - 9).append();
    assertThat(log.byteCount())
        .as("the start does not measure so many")
        .isEqualTo(Files.size(log.lastFile()));
    Files.setLastModifiedTime(log.fileFrom(1), FileTime.fromMillis(1000));
    assertThat(log.removeOlderThan(2000, () -> Long.MAX_VALUE)).isEqualTo(1);
    log.measure();
    assertThat(log.fileCount()).isEqualTo(count - 10);
    assertThat(log.byteCount()).isEqualTo(sizeOf(log.files()));
    log.removeBeyond(1000, () -> Long.MAX_VALUE);
    assertThat(log.byteCount()).isEqualTo(sizeOf(log.files())).isBetween(500L, 1000L);
  }

  private static long sizeOf(Iterable<Path> files) throws IOException {
    long bytes = 0;
    for (Path file : files) {
      bytes += Files.size(file);
    }
    return bytes;
  }

  @Test
  void retentionRemovesTheOldestButNeverTheLast() throws IOException {
    LtxLog log = open();
    append(log, 4);
    for (int txid : new int[] {1, 2, 4}) {
      Files.setLastModifiedTime(log.fileFrom(txid), FileTime.fromMillis(1000));
    }
    assertThat(log.removeOlderThan(2000, () -> Long.MAX_VALUE)).isEqualTo(2);
    assertThat(log.fileFrom(2)).isNull();
    assertThat(log.fileFrom(3)).exists();
    Files.setLastModifiedTime(log.fileFrom(3), FileTime.fromMillis(1000));
    assertThat(log.removeOlderThan(2000, () -> Long.MAX_VALUE)).isEqualTo(1);
    assertThat(log.removeOlderThan(Long.MAX_VALUE, () -> Long.MAX_VALUE)).isZero();
    assertThat(log.end().txid().value()).isEqualTo(4);
  }

  /** Of the one that is in the log and not yet published nobody knows whether it stays. */
  @Test
  void retentionKeepsWhatTheRevokedTransactionFollows() throws IOException {
    LtxLog log = open();
    append(log, 3);
    LtxLog.Writer refused = write(log, 4);
    refused.append();
    assertThat(log.removeOlderThan(Long.MAX_VALUE, () -> 3)).isEqualTo(2);
    assertThat(log.removeBeyond(0, () -> 3)).isZero();
    log.revokeLast(refused);
    assertThat(log.end()).isEqualTo(new Pos(new Txid(3), checksum(3)));
  }

  @Test
  void aSnapshotThatComesDuringRetentionIsTheLog() throws Exception {
    Meanwhile disk = new Meanwhile();
    LtxLog log = LtxLog.open(dir, false, Runnable::run, disk);
    append(log, 4);
    disk.beforeRemoving(file(1, 1), () -> log.adopt(received(log, header(1, 9)), header(1, 9)));
    log.removeOlderThan(Long.MAX_VALUE, () -> 4);
    disk.await();
    assertThat(log.files()).containsExactly(file(1, 9));
    assertThat(log.lastFile()).isEqualTo(file(1, 9)).exists();
    assertThat(log.fileCount()).isEqualTo(1);
    assertThat(log.byteCount()).isEqualTo(Files.size(file(1, 9)));
  }

  @Test
  void retentionRemovesNoSnapshotThatGetsTheNameOfAnOlderOne() throws Exception {
    Meanwhile disk = new Meanwhile();
    LtxLog log = LtxLog.open(dir, false, Runnable::run, disk);
    log.adopt(received(log, header(1, 3)), header(1, 3));
    write(log, 4).append();
    write(log, 5).append();
    disk.beforeRemoving(file(1, 3), () -> log.adopt(received(log, header(1, 3)), header(1, 3)));
    log.removeBeyond(0, () -> 5);
    disk.await();
    assertThat(log.lastFile()).isEqualTo(file(1, 3)).exists();
    assertThat(log.end()).isEqualTo(new Pos(new Txid(3), checksum(3)));
  }

  /** A base at transaction 5, and another history that begins at 3, on which the log goes on. */
  @Test
  void whatIsNeededIsAnotherOnceASnapshotHasReplacedTheLog() throws Exception {
    AtomicBoolean replaced = new AtomicBoolean();
    LogDisk disk =
        new LogDisk() {
          @Override
          void remove(Path file) throws IOException {
            if (file.equals(file(1, 1)) && !replaced.getAndSet(true)) {
              replacing.adopt(received(replacing, header(1, 3)), header(1, 3));
              for (int txid = 4; txid <= 6; txid++) {
                write(replacing, txid).append();
              }
            }
            super.remove(file);
          }
        };
    replacing = LtxLog.open(dir, false, Runnable::run, disk);
    append(replacing, 6);
    replacing.removeBeyond(0, () -> replaced.get() ? 0 : 5);
    assertThat(replacing.files())
        .containsExactly(file(1, 3), file(4, 4), file(5, 5), file(6, 6))
        .allMatch(Files::exists);
  }

  /** Of what failed before a descriptor was opened its syncfs(2) tells nothing. */
  @Test
  void theFilesystemIsSyncedThroughOneDescriptorThatWasThereBeforeAnythingWasWritten()
      throws IOException {
    Set<PosixFile> synced = new HashSet<>();
    LogDisk disk =
        new LogDisk() {
          @Override
          void syncFilesystem(PosixFile file) throws ErrnoException {
            synced.add(file);
            super.syncFilesystem(file);
          }
        };
    LtxLog log = LtxLog.open(dir, false, Runnable::run, disk);
    for (int txid = 1; txid <= 60; txid++) {
      write(log, txid).append();
      if (txid % 30 == 0) {
        log.sync();
      }
    }
    assertThat(synced).hasSize(1);
    log.close();
    for (PosixFile each : synced) {
      assertThatThrownBy(each::syncfs)
          .as("descriptor of a closed log")
          .hasMessageContaining("EBADF");
    }
  }

  @Test
  void snapshotReplacesWhatWasBefore() throws IOException {
    LtxLog log = open();
    append(log, 3);
    LtxHeader header = header(1, 9);
    log.adopt(received(log, header), header);
    assertThat(log.fileCount()).isEqualTo(1);
    assertThat(log.end()).isEqualTo(new Pos(new Txid(9), checksum(9)));
    assertThat(open().end()).isEqualTo(new Pos(new Txid(9), checksum(9)));
    write(log, 10).append();
    assertThat(open().files()).hasSize(2);
  }

  /** Killed before all that it replaced was removed. */
  @Test
  void whatASnapshotReplacedDoesNotDecideWhereTheLogEnds() throws IOException {
    LtxLog log = open();
    append(log, 9);
    byte[] first = Files.readAllBytes(file(1, 1));
    byte[] ninth = Files.readAllBytes(file(9, 9));
    log.adopt(received(log, header(1, 9)), header(1, 9));
    Files.write(file(1, 1), first);
    Files.write(file(9, 9), ninth);
    LtxLog again = open();
    assertThat(again.files()).containsExactly(file(1, 9));
    assertThat(again.lastFile()).isEqualTo(file(1, 9));
    assertThat(again.fileCount()).isEqualTo(1);
    assertThat(again.byteCount()).isEqualTo(Files.size(file(1, 9)));
    assertThat(file(1, 1)).doesNotExist();
    assertThat(file(9, 9)).doesNotExist();
  }

  @Test
  void whatFollowsASnapshotStays() throws IOException {
    LtxLog log = open();
    append(log, 2);
    byte[] second = Files.readAllBytes(file(2, 2));
    log.adopt(received(log, header(1, 4)), header(1, 4));
    write(log, 5).append();
    Files.write(file(2, 2), second);
    assertThat(open().files()).containsExactly(file(1, 4), file(5, 5));
  }

  @Test
  void whatOfItCannotBeRemovedBeginsRightBehindTheSnapshot() throws IOException {
    LtxLog log = open();
    append(log, 8);
    Files.delete(file(5, 5));
    Files.createDirectories(file(5, 5).resolve("in the way"));
    log.adopt(received(log, header(1, 3)), header(1, 3));
    assertThat(log.end()).isEqualTo(new Pos(new Txid(3), checksum(3)));
    assertThat(log.fileCount()).isEqualTo(1);
    assertThat(file(4, 4)).exists();
    assertThat(file(6, 6)).doesNotExist();
  }

  @Test
  void aDamagedSnapshotReplacesNothing() throws IOException {
    append(open(), 3);
    Files.write(file(1, 9), new byte[50]);
    LtxLog log = open();
    assertThat(log.end()).isEqualTo(new Pos(new Txid(3), checksum(3)));
    assertThat(log.files()).containsExactly(file(1, 1), file(2, 2), file(3, 3));
    assertThat(file(1, 9)).doesNotExist();
  }

  @Test
  void whatASnapshotReplacedIsNotSyncedAfterIt() throws IOException {
    LtxLog log = open();
    append(log, 3);
    log.adopt(received(log, header(1, 3)), header(1, 3));
    assertThat(log.hasUnsynced()).isFalse();
    log.sync();
    assertThat(open().files()).containsExactly(file(1, 3));
  }

  @Test
  void leadsToThePositionsOfItsFilesAndToNoOther() throws IOException {
    LtxLog log = open();
    assertThat(log.leadsTo(Pos.ZERO)).isFalse();
    log.adopt(received(log, header(1, 3)), header(1, 3));
    write(log, 4).append();
    assertThat(log.leadsTo(new Pos(new Txid(2), checksum(2)))).isFalse();
    assertThat(log.leadsTo(new Pos(new Txid(3), checksum(3)))).isTrue();
    assertThat(log.leadsTo(new Pos(new Txid(4), checksum(4)))).isTrue();
    assertThat(log.leadsTo(new Pos(new Txid(4), checksum(77)))).isFalse();
    assertThat(log.leadsTo(new Pos(new Txid(5), checksum(5)))).isFalse();
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
    assertThat(log.removeOlderThan(Long.MAX_VALUE, () -> Long.MAX_VALUE)).isEqualTo(2);
    LtxLog again = open();
    assertThat(again.files()).hasSize(1);
    assertThat(again.fileFrom(1)).isNull();
  }

  @Test
  void aTransactionThatCouldNotBeSyncedDoesNotReplaceTheOneThatGotItsTxid() throws IOException {
    FailingDisk disk = new FailingDisk();
    LtxLog log = LtxLog.open(dir, true, Runnable::run, disk);
    append(log, 1);
    disk.datasyncFails = true;
    LtxLog.Writer refused = write(log, 2, 77);
    assertThatThrownBy(refused::append).isInstanceOf(ErrnoException.class);
    refused.abort();
    disk.datasyncFails = false;
    write(log, 2).append();
    assertThat(open().end()).isEqualTo(new Pos(new Txid(2), checksum(2)));
  }

  @Test
  void aTransactionThatCouldNotBeSyncedIsGoneAfterAKill() throws IOException {
    FailingDisk disk = new FailingDisk();
    LtxLog log = LtxLog.open(dir, true, Runnable::run, disk);
    append(log, 1);
    disk.datasyncFails = true;
    disk.syncfsFails = true;
    LtxLog.Writer refused = write(log, 2);
    assertThatThrownBy(refused::append).isInstanceOf(ErrnoException.class);
    refused.abort();
    assertThat(open().end()).isEqualTo(new Pos(new Txid(1), checksum(1)));
  }

  /** What a power cut would leave of the segment is not known. */
  @Test
  void nothingIsPromisedAfterAFailureBeforeTheSegmentIsGone() throws IOException {
    FailingDisk disk = new FailingDisk();
    LtxLog log = LtxLog.open(dir, false, Runnable::run, disk);
    append(log, 1);
    log.sync();
    write(log, 2).append();
    disk.datasyncFails = true;
    assertThatThrownBy(log::sync).isInstanceOf(ErrnoException.class);
    disk.datasyncFails = false;
    disk.syncfsFails = true;
    assertThatThrownBy(log::sync).isInstanceOf(ErrnoException.class);
    assertThat(log.hasUnsynced()).isTrue();
    assertThat(home.resolve("segment")).as("it has transaction 1").exists();
    disk.syncfsFails = false;
    log.sync();
    assertThat(log.hasUnsynced()).isFalse();
    assertThat(home.resolve("segment")).doesNotExist();
    write(log, 3).append();
    log.sync();
    assertThat(open().end()).isEqualTo(new Pos(new Txid(3), checksum(3)));
  }

  @Test
  void aRevokedTransactionIsGoneAlsoIfTheDiskFails() throws IOException {
    FailingDisk disk = new FailingDisk();
    LtxLog log = LtxLog.open(dir, true, Runnable::run, disk);
    append(log, 1);
    LtxLog.Writer refused = write(log, 2, 77);
    refused.append();
    disk.syncfsFails = true;
    assertThatThrownBy(() -> log.revokeLast(refused)).isInstanceOf(ErrnoException.class);
    assertThat(file(2, 2)).doesNotExist();
    assertThat(log.hasUnsynced()).isTrue();
    disk.syncfsFails = false;
    write(log, 2).append();
    assertThat(open().end()).isEqualTo(new Pos(new Txid(2), checksum(2)));
  }

  @Test
  void aReceivedTransactionThatCouldNotBeSyncedIsNotInTheLog() throws IOException {
    FailingDisk disk = new FailingDisk();
    LtxLog log = LtxLog.open(dir, true, Runnable::run, disk);
    append(log, 1);
    disk.datasyncFails = true;
    Path temporary = received(log, header(2, 2));
    assertThatThrownBy(() -> log.adopt(temporary, header(2, 2))).isInstanceOf(ErrnoException.class);
    assertThat(log.end().txid().value()).isEqualTo(1);
    assertThat(open().end().txid().value()).isEqualTo(1);
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

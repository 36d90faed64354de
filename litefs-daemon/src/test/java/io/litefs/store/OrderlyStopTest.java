package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSource.LtxFile;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A large last file of the log: when a start takes it at its word, and when not. */
class OrderlyStopTest {

  private static final String DB = "a.db";

  /** Bytes from the end: in the file's own checksum. */
  private static final int TRAILER = 4;

  @TempDir Path home;
  private StoreFixture running;
  private Pos pos;
  private byte[] content;

  @BeforeEach
  void makeDatabaseInOneTransaction() throws Exception {
    Path source = home.resolve("source.db");
    StoreFixture.execute(
        source,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
            + " INSERT INTO t SELECT i, randomblob(4000) FROM n");
    running = new StoreFixture(home.resolve("running"));
    running.importFile(DB, source);
    pos = database().pos();
    content = running.export(DB);
    assertThat(Files.size(last(running.dir))).isGreaterThan(2 * LogScan.READ_AT_START_BYTES);
  }

  @AfterEach
  void close() {
    running.close();
  }

  private Database database() {
    return running.store.find(DB);
  }

  private static Path last(Path data) throws IOException {
    Path dir = data.resolve("dbs").resolve(DB).resolve("ltx");
    try (Stream<Path> files = Files.list(dir)) {
      return files.max(Path::compareTo).orElseThrow();
    }
  }

  private static List<Path> aside(Path data) throws IOException {
    try (Stream<Path> files = Files.list(data.resolve("dbs").resolve(DB))) {
      return files.filter(each -> each.getFileName().toString().startsWith("ltx-aside-")).toList();
    }
  }

  private static void flip(Path file, long offset) throws IOException {
    try (RandomAccessFile both = new RandomAccessFile(file.toFile(), "rw")) {
      both.seek(offset);
      int before = both.readUnsignedByte();
      both.seek(offset);
      both.write(before ^ 0xff);
    }
  }

  private static void damage(Path data) throws IOException {
    flip(last(data), Files.size(last(data)) / 2);
  }

  /** The data directory as a kill at this moment leaves it. */
  private Path killed() throws IOException {
    Path copy = Files.createTempDirectory(home, "killed");
    StoreFixture.copy(running.dir, copy);
    return copy;
  }

  private void assertNoticedAtStart(Path data) throws Exception {
    try (StoreFixture again = new StoreFixture(data)) {
      assertThat(aside(data)).hasSize(1);
      Database started = again.store.find(DB);
      assertThat(started.pos()).isEqualTo(pos);
      assertThat(again.export(DB)).isEqualTo(content);
      LtxLog.requireSound(started.log().lastFile());
    }
  }

  @Test
  void whatIsLargeAndAsItWasLeftIsReadLaterNotAtTheStart() throws Exception {
    running.close();
    damage(running.dir);
    running.open();
    assertThat(aside(running.dir)).isEmpty();
    assertThat(database().pos()).isEqualTo(pos);

    database().log().verifyUnread(PageVerification.Pace.NONE);
    assertThat(database().log().isDamaged(last(running.dir))).isTrue();
    assertThat(LogFile.openNext(database(), Pos.ZERO)).as("sent to a replica").isNull();
    Path snapshot = home.resolve("snapshot");
    try (LtxFile sent = running.store.snapshot(DB)) {
      ByteBuffer bytes = ByteBuffer.allocate((int) sent.size());
      while (bytes.hasRemaining() && sent.read(bytes) > 0) {
        // until it is full
      }
      Files.write(snapshot, bytes.array());
    }
    LtxLog.requireSound(snapshot);

    running.close();
    assertNoticedAtStart(running.dir);
    running.open();
  }

  @Test
  void whatIsSoundIsFoundSoLater() throws Exception {
    running.close();
    running.open();
    database().log().verifyUnread(PageVerification.Pace.NONE);
    assertThat(database().log().isDamaged(last(running.dir))).isFalse();
    try (LtxFile sent = LogFile.openNext(database(), Pos.ZERO)) {
      assertThat(sent.pos()).isEqualTo(pos);
    }
  }

  @Test
  void afterAKillItIsReadAtTheStart() throws Exception {
    database().bases().advance(false);
    Path copy = killed();
    damage(copy);
    assertNoticedAtStart(copy);
  }

  @Test
  void afterAKillThatFollowedAnOrderlyStopItIsReadAtTheStart() throws Exception {
    running.close();
    running.open();
    Path copy = killed();
    damage(copy);
    assertNoticedAtStart(copy);
  }

  @Test
  void anotherChecksumIsNoticedAtTheStart() throws Exception {
    running.close();
    Path copy = killed();
    flip(last(copy), Files.size(last(copy)) - TRAILER);
    assertNoticedAtStart(copy);
    running.open();
  }

  @Test
  void anotherSizeIsNoticedAtTheStart() throws Exception {
    running.close();
    Path copy = killed();
    byte[] bytes = Files.readAllBytes(last(copy));
    byte[] longer = new byte[bytes.length + 4096];
    int trailer = bytes.length - 16;
    System.arraycopy(bytes, 0, longer, 0, trailer);
    System.arraycopy(bytes, trailer, longer, longer.length - 16, 16);
    Files.write(last(copy), longer);
    assertNoticedAtStart(copy);
    running.open();
  }

  /** As daemons left it that did not note what the last file was. */
  @Test
  void whereNothingIsNotedItIsReadAtTheStart() throws Exception {
    running.close();
    Path copy = killed();
    Path checksums = copy.resolve("dbs").resolve(DB).resolve(ChecksumFile.NAME);
    for (long slot : new long[] {0, 4096}) {
      flip(checksums, slot + 80);
    }
    assertThat(ChecksumFile.readBase(checksums.getParent()).orElseThrow().last()).isNull();
    damage(copy);
    assertNoticedAtStart(copy);
    running.open();
  }
}

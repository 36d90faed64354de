package io.litefs.store;

import static io.litefs.store.StoreFixture.connect;
import static io.litefs.store.StoreFixture.direct;
import static io.litefs.store.StoreFixture.execute;
import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.Pos;
import io.litefs.sqlite.Wal;
import io.litefs.sqlite.WalChecksum;
import io.litefs.sqlite.WalHeader;
import io.litefs.sqlite.WalIndexHeader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Frames that SQLite 3.40 leaves without a checksum, made from what a sound version writes. {@code
 * UnchainedTransactionTest} has the versions that do it, through the mount.
 */
class UnchainedFramesTest {

  private static final int PAGE = 4096;
  private static final int FRAME = Wal.FRAME_HEADER_SIZE + PAGE;

  @TempDir Path temp;
  private StoreFixture fixture;
  private Path original;
  private Connection connection;
  private Database database;
  private BackingFile wal;

  @BeforeEach
  void importAnEmptyWalDatabase() throws Exception {
    fixture = new StoreFixture(temp.resolve("data"));
    original = temp.resolve("original.db");
    execute(original, "PRAGMA journal_mode=WAL", "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)");
    fixture.importFile("a.db", original);
    database = fixture.store.find("a.db");
    connection = connect(original);
    execute(connection, "PRAGMA wal_autocheckpoint=0", "PRAGMA synchronous=NORMAL");
    wal = database.acquire(FileKind.WAL, true);
  }

  @AfterEach
  void close() throws Exception {
    connection.close();
    wal.release();
    fixture.close();
  }

  private ByteBuffer written() throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(temp.resolve("original.db-wal")));
  }

  private static int frames(ByteBuffer bytes) {
    return (bytes.limit() - Wal.HEADER_SIZE) / FRAME;
  }

  private static int at(int frame) {
    return Wal.HEADER_SIZE + (frame - 1) * FRAME;
  }

  private static void clear(ByteBuffer bytes, int frame) {
    bytes.putLong(at(frame) + 8, 0).putLong(at(frame) + 16, 0);
  }

  /** Chains frames {@code first} to {@code last}, from {@code previous} on; returns the end. */
  private static WalChecksum chain(ByteBuffer bytes, int first, int last, WalChecksum previous)
      throws IOException {
    WalHeader header = WalHeader.parse(bytes.duplicate());
    WalChecksum checksum = previous;
    for (int frame = first; frame <= last; frame++) {
      int at = at(frame);
      checksum =
          checksum
              .update(header.checksumOrder(), bytes, at, 8)
              .update(header.checksumOrder(), bytes, at + Wal.FRAME_HEADER_SIZE, PAGE);
      bytes.putInt(at + 8, header.salt1()).putInt(at + 12, header.salt2());
      bytes.putInt(at + 16, checksum.s1()).putInt(at + 20, checksum.s2());
    }
    return checksum;
  }

  private void write(ByteBuffer bytes, int from, int length) throws IOException {
    database.wal().write(wal, direct(bytes.array(), from, from + length), from);
  }

  private void replay(ByteBuffer bytes, int first, int last) throws IOException {
    for (int frame = first; frame <= last; frame++) {
      write(bytes, at(frame), Wal.FRAME_HEADER_SIZE);
      write(bytes, at(frame) + Wal.FRAME_HEADER_SIZE, PAGE);
    }
  }

  private WalIndexHeader index(ByteBuffer bytes, int frames, WalChecksum checksum)
      throws IOException {
    return WalIndexHeader.emptyLog(null, PAGE, 0, 0)
        .committed(WalHeader.parse(bytes.duplicate()), frames, 1, checksum);
  }

  private byte[] checkpointed() throws Exception {
    execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    return Files.readAllBytes(original);
  }

  @Test
  void aCommitFrameWithAChecksumEndsATransactionWhoseFirstFramesHaveNone() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(30000))");
    ByteBuffer bytes = written();
    int last = frames(bytes);
    for (int frame = 1; frame <= last; frame++) {
      clear(bytes, frame);
    }
    write(bytes, 0, Wal.HEADER_SIZE);
    replay(bytes, 1, last);
    Pos before = database.pos();
    assertThat(before.txid().value()).isEqualTo(1);
    // The checksums from frame 4 on are written last, each from that of the frame before.
    chain(bytes, 4, last, WalChecksum.ZERO);
    for (int frame = 4; frame < last; frame++) {
      write(bytes, at(frame), Wal.FRAME_HEADER_SIZE);
      assertThat(database.pos()).isEqualTo(before);
    }
    write(bytes, at(last), 16); // A piece of it is not enough.
    assertThat(database.pos()).isEqualTo(before);
    write(bytes, at(last) + 16, 8);
    assertThat(database.pos().txid().value()).isEqualTo(2);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void withoutAnyChecksumTheIndexSaysWhetherItIsOne() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(30000))");
    int first = frames(written());
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(300))");
    ByteBuffer bytes = written();
    int last = frames(bytes);
    for (int frame = 1; frame <= first; frame++) {
      clear(bytes, frame);
    }
    WalChecksum forgotten = new WalChecksum(17, 4);
    chain(bytes, first + 1, last, forgotten);
    write(bytes, 0, Wal.HEADER_SIZE);
    replay(bytes, 1, first);
    database.wal().published(index(bytes, 0, WalChecksum.ZERO));
    assertThat(database.pos().txid().value()).isEqualTo(1);
    database.wal().published(index(bytes, first, forgotten));
    assertThat(database.pos().txid().value()).isEqualTo(2);
    replay(bytes, first + 1, last);
    assertThat(database.pos().txid().value()).isEqualTo(3);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  /** Its writer has failed or died, and the connection that closes last removes index and WAL. */
  @Test
  void whatIsNotPublishedWhenTheIndexGoesIsNoTransaction() throws Exception {
    byte[] before = fixture.export("a.db");
    writeUnchained();
    database.wal().unlinkIndex();
    database.wal().unlink();
    assertThat(database.pos().txid().value()).isEqualTo(1);
    assertThat(fixture.export("a.db")).isEqualTo(before);
  }

  /** With {@code locking_mode=EXCLUSIVE} there is no index. */
  @Test
  void whatItsWriterHasNotCopiedWhenItClosesTheWalIsNoTransaction() throws Exception {
    byte[] before = fixture.export("a.db");
    writeUnchained();
    database.wal().closedAfterWriting(wal);
    database.wal().unlink();
    assertThat(database.pos().txid().value()).isEqualTo(1);
    assertThat(fixture.export("a.db")).isEqualTo(before);
  }

  /** The next change of a file by the only connection. */
  @Test
  void withoutAnIndexWhatIsWrittenBeforeACheckpointIsCommitted() throws Exception {
    writeUnchained();
    byte[] copied = checkpointed();
    BackingFile file = database.acquire(FileKind.DATABASE, false);
    database.writeDatabase(file, direct(copied, 0, copied.length), 0);
    file.release();
    assertThat(database.pos().txid().value()).isEqualTo(2);
    assertThat(database.settledPos()).isEqualTo(database.pos());
    assertThat(fixture.export("a.db")).isEqualTo(copied);
  }

  /** Asking for the position, at any moment, decides nothing. */
  @Test
  void withoutAnIndexNobodyElseSaysThatItIsOne() throws Exception {
    writeUnchained();
    assertThat(database.settledPos().txid().value()).isEqualTo(1);
  }

  /** The number of its frames. */
  private int writeUnchained() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(30000))");
    ByteBuffer bytes = written();
    int last = frames(bytes);
    for (int frame = 1; frame <= last; frame++) {
      clear(bytes, frame);
    }
    write(bytes, 0, Wal.HEADER_SIZE);
    replay(bytes, 1, last);
    return last;
  }

  @Test
  void theSyncOfItsWriterSaysSoTooAndRecoveryCountsIt() throws Exception {
    int last = writeUnchained();
    database.wal().sync(wal, at(1)); // of another connection, before a checkpoint
    assertThat(database.pos().txid().value()).isEqualTo(1);
    database.wal().sync(wal, at(last + 1));
    assertThat(database.pos().txid().value()).isEqualTo(2);
    Pos pos = database.pos();
    wal.release();
    fixture.close();
    fixture.open();
    database = fixture.store.find("a.db");
    wal = database.acquire(FileKind.WAL, true);
    assertThat(database.pos()).isEqualTo(pos);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }
}

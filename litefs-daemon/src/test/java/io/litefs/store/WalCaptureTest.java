package io.litefs.store;

import static io.litefs.store.StoreFixture.connect;
import static io.litefs.store.StoreFixture.direct;
import static io.litefs.store.StoreFixture.execute;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.Wal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Replays WALs that SQLite wrote elsewhere, write by write. */
class WalCaptureTest {

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

  private byte[] writtenWal() throws IOException {
    return Files.readAllBytes(temp.resolve("original.db-wal"));
  }

  private void write(byte[] bytes, int from, int to) throws IOException {
    database.wal().write(wal, direct(bytes, from, to), from);
  }

  private void replay(byte[] bytes, int from) throws IOException {
    int at = from;
    if (at == 0) {
      write(bytes, 0, Wal.HEADER_SIZE);
      at = Wal.HEADER_SIZE;
    }
    for (; at < bytes.length; at += FRAME) {
      write(bytes, at, at + Wal.FRAME_HEADER_SIZE);
      write(bytes, at + Wal.FRAME_HEADER_SIZE, at + FRAME);
    }
  }

  private byte[] checkpointed() throws Exception {
    execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    return Files.readAllBytes(original);
  }

  @Test
  void eachCommitIsATransaction() throws Exception {
    for (int i = 0; i < 5; i++) {
      execute(connection, "INSERT INTO t(b) VALUES (randomblob(6000))");
    }
    replay(writtenWal(), 0);
    assertThat(database.pos().txid().value()).isEqualTo(6);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void transactionIsLoggedBeforeTheLastPieceOfItsCommitFrameIsWritten() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(100))");
    byte[] bytes = writtenWal();
    replay(java.util.Arrays.copyOf(bytes, bytes.length - FRAME), 0);
    write(bytes, bytes.length - FRAME, bytes.length - PAGE);
    write(bytes, bytes.length - PAGE, bytes.length - 1);
    Pos before = database.pos();
    assertThat(before.txid().value()).isEqualTo(1);
    write(bytes, bytes.length - 1, bytes.length);
    assertThat(database.pos().txid().value()).isEqualTo(2);
  }

  @Test
  void writeInPiecesThatFitNoFrameIsUnderstood() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(60000))", "DELETE FROM t WHERE id=1");
    byte[] bytes = writtenWal();
    write(bytes, 0, Wal.HEADER_SIZE);
    for (int at = Wal.HEADER_SIZE; at < bytes.length; at += 5000) {
      write(bytes, at, Math.min(bytes.length, at + 5000));
    }
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void wholeLogInOneWriteIsUnderstood() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(60000))", "DELETE FROM t WHERE id=1");
    byte[] bytes = writtenWal();
    write(bytes, 0, Wal.HEADER_SIZE);
    write(bytes, Wal.HEADER_SIZE, bytes.length);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void repeatedCommitFrameMakesNoTransaction() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(100))");
    byte[] bytes = writtenWal();
    replay(bytes, 0);
    Pos before = database.pos();
    // As SQLite pads a sector: the last frame once more, its checksum continued.
    byte[] padded = java.util.Arrays.copyOf(bytes, bytes.length + FRAME);
    System.arraycopy(bytes, bytes.length - FRAME, padded, bytes.length, FRAME);
    io.litefs.sqlite.WalHeader header =
        io.litefs.sqlite.WalHeader.parse(java.nio.ByteBuffer.wrap(bytes));
    java.nio.ByteBuffer frame = java.nio.ByteBuffer.wrap(padded, bytes.length, FRAME).slice();
    io.litefs.sqlite.WalChecksum last = io.litefs.sqlite.WalFrameHeader.parse(frame).checksum();
    io.litefs.sqlite.WalChecksum next =
        last.update(header.checksumOrder(), frame, 0, 8)
            .update(header.checksumOrder(), frame, Wal.FRAME_HEADER_SIZE, PAGE);
    frame.putInt(16, next.s1()).putInt(20, next.s2());
    replay(padded, bytes.length);
    assertThat(database.pos()).isEqualTo(before);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void transactionThatNobodySawIsRestoredByTheNextOne() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(100))");
    byte[] seen = writtenWal();
    replay(seen, 0);
    byte[] unseen;
    // Another copy of the same database and WAL, on which the transaction that will be lost is
    // made.
    Path copy = temp.resolve("copy.db");
    Files.copy(original, copy);
    Files.copy(temp.resolve("original.db-wal"), temp.resolve("copy.db-wal"));
    try (Connection other = connect(copy)) {
      execute(other, "PRAGMA wal_autocheckpoint=0", "INSERT INTO t(b) VALUES (zeroblob(20000))");
      unseen = Files.readAllBytes(temp.resolve("copy.db-wal"));
    }
    assertThat(java.util.Arrays.mismatch(seen, unseen)).isEqualTo(seen.length);
    replay(unseen, seen.length);
    assertThat(database.pos().txid().value()).isEqualTo(3);

    execute(connection, "UPDATE t SET b = 'small' WHERE id = 1");
    byte[] next = writtenWal();
    replay(next, seen.length);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void transactionsThatNobodyCanSeeWithoutTheWalAreUndoneWhenItGoes() throws Exception {
    byte[] before = fixture.export("a.db");
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(9000))");
    execute(connection, "UPDATE t SET b = 'small'");
    replay(writtenWal(), 0);
    assertThat(database.pos().txid().value()).isEqualTo(3);
    database.wal().unlink();
    assertThat(database.pos().txid().value()).isEqualTo(4);
    assertThat(fixture.export("a.db")).isEqualTo(before);
  }

  @Test
  void theLastTransactionIsUndoneIfTheWalBeginsAnewWithoutIt() throws Exception {
    byte[] before = fixture.export("a.db");
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(9000))");
    byte[] bytes = writtenWal();
    replay(bytes, 0);
    write(bytes, 0, Wal.HEADER_SIZE);
    assertThat(database.pos().txid().value()).isEqualTo(3);
    assertThat(fixture.export("a.db")).isEqualTo(before);
  }

  @Test
  void restartedLogBeginsAnew() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(50000))");
    replay(writtenWal(), 0);
    byte[] base = checkpointed();
    BackingFile file = database.acquire(FileKind.DATABASE, false);
    database.writeDatabase(file, direct(base, 0, base.length), 0);
    file.release();
    database.wal().truncate(wal, 0);
    Pos afterCheckpoint = database.pos();
    execute(connection, "INSERT INTO t(b) VALUES ('x')");
    replay(writtenWal(), 0);
    assertThat(database.pos().txid()).isEqualTo(afterCheckpoint.txid().next());
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void committedTransactionsSurviveAnAbruptEnd() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(9000))");
    replay(writtenWal(), 0);
    Pos before = database.pos();
    wal.release();
    fixture.close();
    fixture.open();
    database = fixture.store.find("a.db");
    wal = database.acquire(FileKind.WAL, true);
    assertThat(database.pos()).isEqualTo(before);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void transactionOfTheWalThatTheLogLostIsCapturedAgain() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(9000))");
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(9000))");
    replay(writtenWal(), 0);
    Pos before = database.pos();
    wal.release();
    fixture.close();
    Files.delete(fixture.file("a.db", "ltx/0000000000000003-0000000000000003.ltx"));
    fixture.open();
    database = fixture.store.find("a.db");
    wal = database.acquire(FileKind.WAL, true);
    assertThat(database.pos()).isEqualTo(before);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void transactionThatTheWalLostIsPlayedFromTheLog() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(9000))");
    replay(writtenWal(), 0);
    Pos before = database.pos();
    wal.release();
    fixture.close();
    Files.delete(fixture.file("a.db", "wal"));
    fixture.open();
    database = fixture.store.find("a.db");
    wal = database.acquire(FileKind.WAL, true);
    assertThat(database.pos()).isEqualTo(before);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void tornEndOfTheLogIsRemoved() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(9000))");
    replay(writtenWal(), 0);
    Pos before = database.pos();
    wal.release();
    fixture.close();
    Path last = fixture.file("a.db", "ltx/0000000000000002-0000000000000002.ltx");
    byte[] bytes = Files.readAllBytes(last);
    Files.write(last, java.util.Arrays.copyOf(bytes, bytes.length / 2));
    fixture.open();
    database = fixture.store.find("a.db");
    wal = database.acquire(FileKind.WAL, true);
    assertThat(database.pos()).isEqualTo(before);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  /** The primary has it, so it comes on the stream and must not be skipped as this node's own. */
  @Test
  void aForwardedTransactionThatCannotBeWrittenIsLeftToTheStream() throws Exception {
    byte[] bytes = insertedAllButTheEnd();
    Pos before = database.pos();
    AcceptingPrimary primary = new AcceptingPrimary();
    HaltSession session = primary.session("a.db");
    database.access().session(session);
    PosixFile disk = wal.swap(PosixFile.open(wal.path(), PosixFile.O_RDONLY, 0));
    assertFails(bytes, "write");
    wal.swap(disk).close();
    database.access().session(null);
    assertThat(database.pos()).isEqualTo(before);
    assertThat(database.log().end()).isEqualTo(before);
    assertThat(primary.pos.txid()).isEqualTo(before.txid().next());
    assertThat(session.isOurs(AcceptingPrimary.NODE, primary.pos, before)).isFalse();
    assertThat(session.isActive()).isFalse();
  }

  // ---------------------------------------------- commits that replicas do not have in time

  private FakeReplicas replicas() throws IOException {
    FakeReplicas replicas = new FakeReplicas();
    fixture.store.synchronizeCommits(replicas);
    fixture.store.becomePrimary(() -> replicas.held);
    return replicas;
  }

  /** What follows the header of the WAL, as SQLite writes it, but for its last piece. */
  private byte[] insertedAllButTheEnd() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(9000))");
    byte[] bytes = writtenWal();
    replay(java.util.Arrays.copyOf(bytes, bytes.length - FRAME), 0);
    write(bytes, bytes.length - FRAME, bytes.length - PAGE);
    return bytes;
  }

  private void assertFails(byte[] bytes, String reason) {
    assertThatThrownBy(() -> write(bytes, bytes.length - PAGE, bytes.length))
        .isInstanceOf(ErrnoException.class)
        .hasMessageContaining(reason);
  }

  @Test
  void aCommitThatTooFewReplicasHaveIsTakenBack() throws Exception {
    byte[] before = fixture.export("a.db");
    replicas();
    byte[] bytes = insertedAllButTheEnd();
    assertFails(bytes, "too few replicas have transaction 0000000000000002");
    assertThat(database.pos().txid().value()).isEqualTo(3);
    assertThat(fixture.export("a.db")).isEqualTo(before);
    assertThat(database.differsFromLog()).isFalse();
  }

  /** The transaction is on replicas, perhaps, and this node leads again before any of them. */
  @Test
  void aFailedCommitThatTheEndOfTheLeaseKeptFromBeingTakenBackIsTakenBackByTheNextTerm()
      throws Exception {
    byte[] before = fixture.export("a.db");
    FakeReplicas replicas = replicas();
    byte[] bytes = insertedAllButTheEnd();
    replicas.endLease = true;
    assertFails(bytes, "lease");
    assertThat(database.pos().txid().value()).isEqualTo(2);
    assertThat(database.bases().advance(false)).as("a state to start from").isFalse();
    database.endCommits();
    assertThat(database.strayPages().areThere()).as("whether it needs a snapshot").isTrue();

    replicas.held = true;
    replicas.inSync = false; // None follows yet.
    database.strayPages().record();
    assertThat(database.pos().txid().value()).isEqualTo(3);
    assertThat(fixture.export("a.db")).isEqualTo(before);
    assertThat(database.strayPages().areThere()).isFalse();
    assertThat(database.bases().advance(false)).isTrue();
  }

  @Test
  void aFailedCommitThatCouldNotBeTakenBackIsTakenBackByTheNextOne() throws Exception {
    FakeReplicas replicas = replicas();
    byte[] seen = writtenWal();
    Path copy = temp.resolve("copy.db");
    Files.copy(original, copy);
    Files.copy(temp.resolve("original.db-wal"), temp.resolve("copy.db-wal"));
    byte[] bytes = insertedAllButTheEnd();
    replicas.endLease = true;
    assertFails(bytes, "lease");
    assertThat(seen.length).isLessThan(bytes.length);

    replicas.endLease = false;
    replicas.held = true;
    replicas.acknowledge = true;
    // SQLite writes its next transaction over the frames of the failed one.
    byte[] next;
    try (Connection other = connect(copy)) {
      execute(other, "PRAGMA wal_autocheckpoint=0", "CREATE TABLE other(x)");
      next = Files.readAllBytes(temp.resolve("copy.db-wal"));
      replay(next, 0);
      execute(other, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    assertThat(fixture.export("a.db")).isEqualTo(Files.readAllBytes(copy));
    assertThat(database.differsFromLog()).isFalse();
  }

  /** It is in the log, so that is what the database is after a start. */
  @Test
  void aFailedCommitThatNothingTookBackIsPlayedAtTheNextStart() throws Exception {
    FakeReplicas replicas = replicas();
    byte[] bytes = insertedAllButTheEnd();
    replicas.endLease = true;
    assertFails(bytes, "lease");
    Pos pos = database.pos();
    wal.release();
    fixture.close();
    fixture.open();
    database = fixture.store.find("a.db");
    wal = database.acquire(FileKind.WAL, true);
    assertThat(database.pos()).isEqualTo(pos);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  /** A database that is new has no base, and this one can have none before that is mended. */
  @Test
  void aReplicaTakesTheWalOverThoughAFailedCommitKeepsItFromHavingABase() throws Exception {
    FakeReplicas replicas = replicas();
    byte[] bytes = insertedAllButTheEnd();
    replicas.endLease = true;
    assertFails(bytes, "lease");
    Pos pos = database.pos();
    database.endCommits();
    database.bases().walIsApplied();
    wal.release();
    fixture.close();
    fixture.open();
    database = fixture.store.find("a.db");
    wal = database.acquire(FileKind.WAL, true);
    assertThat(database.pos()).isEqualTo(pos);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }

  @Test
  void whatReplicasAcknowledgeAfterTheEndOfTheLeaseCountsOnlyWhereItNeedNot() throws Exception {
    FakeReplicas replicas = replicas();
    replicas.acknowledge = true;
    replicas.endLease = true;
    byte[] bytes = insertedAllButTheEnd();
    assertFails(bytes, "lease");

    replicas.held = true;
    replicas.mayFail = false; // on-timeout: continue
    write(bytes, bytes.length - PAGE, bytes.length);
    assertThat(fixture.export("a.db")).isEqualTo(checkpointed());
  }
}

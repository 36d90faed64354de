package io.litefs.store;

import static io.litefs.store.StoreFixture.connect;
import static io.litefs.store.StoreFixture.direct;
import static io.litefs.store.StoreFixture.execute;
import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.Pos;
import io.litefs.sqlite.Wal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A WAL that has been begun anew since, as a power cut leaves it: commits do not sync it. Then all
 * that is in it is in the log too, and must not come after the log's end once more.
 */
class OlderWalTest {

  private static final String DB = "a.db";
  private static final int PAGE = 4096;

  @TempDir Path temp;
  private StoreFixture running;
  private Path original;
  private Connection connection;
  private BackingFile wal;

  @BeforeEach
  void importAnEmptyWalDatabase() throws Exception {
    running = new StoreFixture(temp.resolve("running"));
    original = temp.resolve("original.db");
    execute(original, "PRAGMA journal_mode=WAL", "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)");
    running.importFile(DB, original);
    connection = connect(original);
    execute(connection, "PRAGMA wal_autocheckpoint=0", "PRAGMA synchronous=NORMAL");
    wal = database().acquire(FileKind.WAL, true);
  }

  @AfterEach
  void close() throws Exception {
    connection.close();
    wal.release();
    running.close();
  }

  private Database database() {
    return running.store.find(DB);
  }

  /** One transaction in a WAL begun anew; returns the WAL. */
  private byte[] insertIntoNewWal() throws Exception {
    execute(connection, "INSERT INTO t(b) VALUES (randomblob(30000))");
    byte[] bytes = Files.readAllBytes(temp.resolve("original.db-wal"));
    write(bytes, 0, Wal.HEADER_SIZE);
    for (int at = Wal.HEADER_SIZE; at < bytes.length; at += Wal.FRAME_HEADER_SIZE + PAGE) {
      write(bytes, at, Wal.FRAME_HEADER_SIZE);
      write(bytes, at + Wal.FRAME_HEADER_SIZE, PAGE);
    }
    return bytes;
  }

  private void write(byte[] bytes, int from, int length) throws IOException {
    database().wal().write(wal, direct(bytes, from, from + length), from);
  }

  /** All of the WAL goes into the database: the next transaction begins it anew. */
  private void checkpoint() throws Exception {
    execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    Files.write(running.file(DB, "database"), Files.readAllBytes(original));
  }

  private Path cut(byte[] file, byte[] oldWal) throws IOException {
    Path copy = Files.createTempDirectory(temp, "cut");
    StoreFixture.copy(running.dir, copy);
    Path dir = copy.resolve("dbs").resolve(DB);
    Files.deleteIfExists(dir.resolve("checksums")); // no base: the database is read
    Files.write(dir.resolve("database"), file);
    Files.write(dir.resolve("wal"), oldWal);
    return copy;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void isNotCapturedAgain(boolean fileIsOldToo) throws Exception {
    byte[] before = Files.readAllBytes(running.file(DB, "database"));
    byte[] oldWal = insertIntoNewWal();
    checkpoint();
    insertIntoNewWal();
    checkpoint();
    insertIntoNewWal();
    checkpoint();
    Pos pos = database().pos();
    assertThat(pos.txid().value()).isEqualTo(4);
    byte[] content = running.export(DB);
    byte[] file = fileIsOldToo ? before : Files.readAllBytes(running.file(DB, "database"));
    try (StoreFixture again = new StoreFixture(cut(file, oldWal))) {
      assertThat(again.store.find(DB).pos()).isEqualTo(pos);
      assertThat(again.export(DB)).isEqualTo(content);
    }
  }

  /** The opposite: the log has lost what was in a WAL that it does not know. */
  @Test
  void isCapturedAgainIfTheLogLacksIt() throws Exception {
    insertIntoNewWal();
    checkpoint();
    byte[] file = Files.readAllBytes(running.file(DB, "database"));
    byte[] newWal = insertIntoNewWal();
    byte[] content = running.export(DB);
    Path copy = cut(file, newWal);
    Path dir = copy.resolve("dbs").resolve(DB);
    Files.write(dir.resolve("ltx/0000000000000003-0000000000000003.ltx"), new byte[0]);
    Files.deleteIfExists(dir.resolve("segment"));
    try (StoreFixture again = new StoreFixture(copy)) {
      assertThat(again.store.find(DB).pos().txid().value()).isEqualTo(3);
      assertThat(again.export(DB)).isEqualTo(content);
    }
  }

  /** A primary that has become a replica has taken another history, and is to apply it. */
  @Test
  void isNotCapturedBehindASnapshotOfAnotherHistory() throws Exception {
    insertIntoNewWal();
    try (StoreFixture other = new StoreFixture(temp.resolve("other"))) {
      execute(temp.resolve("other.db"), "PRAGMA journal_mode=WAL", "CREATE TABLE u(x)");
      other.importFile(DB, temp.resolve("other.db"));
      Database theirs = other.store.find(DB);
      database().bases().logIsReplaced(PAGE);
      Path snapshot = database().log().temporaryFile();
      Files.copy(theirs.log().lastFile(), snapshot);
      database().log().adopt(snapshot, LogTail.entry(snapshot).header());
      Path copy = Files.createTempDirectory(temp, "killed");
      StoreFixture.copy(running.dir, copy);
      try (StoreFixture again = new StoreFixture(copy)) {
        assertThat(again.store.find(DB).pos()).isEqualTo(theirs.pos());
        assertThat(again.export(DB)).isEqualTo(other.export(DB));
      }
    }
  }
}

package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Changes databases behind the back of a connection in another process, through its wal-index. */
class LiveWalIndexTest {

  private static final int PAGE_SIZE = 1024;

  @TempDir(factory = MemoryDir.class)
  Path dir;

  @ParameterizedTest
  @ValueSource(ints = {1, 60_000})
  void aConnectionNoticesThatTheDatabaseWasReplaced(int newSize) throws Exception {
    Path database = dir.resolve("db");
    Path replacement = replacement("new content", newSize, PAGE_SIZE);
    try (SqliteShell shell = open(database);
        ChannelFile shm = ChannelFile.open(Sqlite.shm(database));
        ChannelFile file = ChannelFile.open(database);
        ChannelFile wal = ChannelFile.open(Sqlite.wal(database))) {
      shell.run("PRAGMA wal_checkpoint(FULL);");
      assertThat(shell.run("SELECT b FROM t;")).isEqualTo("old content");

      // Frames of the old content stay behind in the log.
      WalHeader oldLog = readHeader(wal);
      voidLog(wal);
      overwrite(file, replacement);
      assertThat(shell.run("SELECT b FROM t;")).as("from its page cache").isEqualTo("old content");
      publishEmptyLog(shm, Files.size(database) / PAGE_SIZE, PAGE_SIZE);

      assertThat(shell.run("SELECT b FROM t; SELECT length(c) FROM u;"))
          .isEqualTo("new content\n" + newSize);
      assertThat(shell.run("PRAGMA integrity_check; PRAGMA page_count;"))
          .isEqualTo("ok\n" + Files.size(database) / PAGE_SIZE);
      assertThat(shell.run("INSERT INTO t VALUES('more'); SELECT count(*) FROM t;")).isEqualTo("2");
      assertThat(readHeader(wal).salt2()).isNotEqualTo(oldLog.salt2());
      shell.kill();
    }
    try (Connection recovered = Sqlite.open(database)) {
      assertThat(Sqlite.query(recovered, "SELECT group_concat(b, ', ') FROM t"))
          .isEqualTo("new content, more");
      assertThat(Sqlite.query(recovered, "PRAGMA integrity_check")).isEqualTo("ok");
    }
  }

  @Test
  void aCrashBeforeTheNewHeaderShowsTheNewContent() throws Exception {
    Path database = dir.resolve("db");
    Path replacement = replacement("new content", 5000, PAGE_SIZE);
    try (SqliteShell shell = open(database);
        ChannelFile file = ChannelFile.open(database);
        ChannelFile wal = ChannelFile.open(Sqlite.wal(database))) {
      shell.run("PRAGMA wal_checkpoint(FULL);");
      voidLog(wal);
      overwrite(file, replacement);
      shell.kill();
    }
    try (Connection recovered = Sqlite.open(database)) {
      assertThat(Sqlite.query(recovered, "SELECT b FROM t")).isEqualTo("new content");
      assertThat(Sqlite.query(recovered, "PRAGMA integrity_check")).isEqualTo("ok");
    }
  }

  @Test
  void aConnectionFollowsADatabaseToAnotherPageSize() throws Exception {
    Path database = dir.resolve("db");
    Path replacement = replacement("new content", 60_000, 4096);
    try (SqliteShell shell = open(database);
        ChannelFile shm = ChannelFile.open(Sqlite.shm(database));
        ChannelFile file = ChannelFile.open(database);
        ChannelFile wal = ChannelFile.open(Sqlite.wal(database))) {
      shell.run("PRAGMA wal_checkpoint(FULL); SELECT * FROM t;");
      voidLog(wal);
      overwrite(file, replacement);
      publishEmptyLog(shm, Files.size(database) / 4096, 4096);

      assertThat(shell.run("SELECT b FROM t; PRAGMA page_size; PRAGMA integrity_check;"))
          .isEqualTo("new content\n4096\nok");
      assertThat(shell.run("INSERT INTO t VALUES('more'); SELECT count(*) FROM t;")).isEqualTo("2");
    }
    try (Connection later = Sqlite.open(database)) {
      assertThat(Sqlite.query(later, "SELECT count(*) FROM t")).isEqualTo("2");
    }
  }

  @Test
  void aReaderIsToldToWaitWhileTheIndexIsInvalidAndLocked() throws Exception {
    Path database = dir.resolve("db");
    try (SqliteShell shell = open(database);
        ChannelFile shm = ChannelFile.open(Sqlite.shm(database))) {
      try (FileLock lock = lockAll(shm)) {
        assertThat(lock.isValid()).isTrue();
        shm.write(ByteBuffer.allocateDirect(48), WalIndex.SECOND_COPY);
        shm.write(ByteBuffer.allocateDirect(48), WalIndex.FIRST_COPY);
        assertThat(shell.run("SELECT b FROM t;")).contains("database is locked");
      }
      assertThat(shell.run("SELECT b FROM t;")).isEqualTo("old content");
      ByteBuffer header = ByteBuffer.allocateDirect(WalIndex.HEADER_SIZE);
      shm.read(header, 0);
      assertThat(WalIndex.readHeader(header)).as("recovered from the log").isPresent();
    }
  }

  @Test
  void anAppendedTransactionIsSeenByNewReadersAndNotByOpenOnes() throws Exception {
    Path database = dir.resolve("db");
    try (SqliteShell open = open(database);
        SqliteShell fresh = SqliteShell.open(database)) {
      assertThat(fresh.run("SELECT b FROM t;")).isEqualTo("old content");
      // The same transaction as SQLite would write it, elsewhere.
      Path model = Sqlite.copy(database, "model");
      byte[] pages;
      try (Connection connection = Sqlite.open(model)) {
        Sqlite.run(connection, "UPDATE t SET b = 'new content'");
        Sqlite.run(connection, "INSERT INTO t VALUES(zeroblob(30000))");
        Sqlite.run(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        pages = Files.readAllBytes(model);
      }
      assertThat(open.run("BEGIN; SELECT b FROM t;")).isEqualTo("old content");

      append(database, pages);

      assertThat(open.run("SELECT b FROM t;")).isEqualTo("old content");
      assertThat(fresh.run("SELECT b FROM t WHERE rowid = 1; SELECT count(*) FROM t;"))
          .isEqualTo("new content\n2");
      assertThat(open.run("COMMIT; SELECT count(*) FROM t;")).isEqualTo("2");
      assertThat(fresh.run("INSERT INTO t VALUES(3); PRAGMA integrity_check;")).isEqualTo("ok");
      assertThat(open.run("PRAGMA wal_checkpoint(TRUNCATE); SELECT count(*) FROM t;"))
          .isEqualTo("0|0|0\n3");
    }
  }

  /** A database with a table, in WAL mode, with its content in the log. */
  private static SqliteShell open(Path database) throws IOException {
    SqliteShell shell = SqliteShell.open(database);
    shell.run("PRAGMA page_size=1024; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;");
    shell.run("CREATE TABLE t(b); INSERT INTO t VALUES('old content'); CREATE TABLE x(y);");
    return shell;
  }

  private Path replacement(String content, int size, int pageSize) throws Exception {
    Path replacement = dir.resolve("replacement");
    try (Connection connection = Sqlite.open(replacement)) {
      Sqlite.run(
          connection,
          "PRAGMA page_size=" + pageSize,
          "PRAGMA journal_mode=WAL",
          "CREATE TABLE u(c)",
          "INSERT INTO u VALUES(zeroblob(" + size + "))",
          "CREATE TABLE t(b)",
          "INSERT INTO t VALUES('" + content + "')",
          // A connection keeps the schema that it knows if the cookie is the same.
          "PRAGMA schema_version=99");
    }
    return replacement;
  }

  private static void voidLog(ChannelFile wal) throws IOException {
    ByteBuffer restarted = ByteBuffer.allocateDirect(Wal.HEADER_SIZE);
    readHeader(wal).restarted(4711).encode(restarted);
    wal.write(restarted.flip(), 0);
  }

  private static WalHeader readHeader(ChannelFile wal) throws IOException {
    ByteBuffer header = ByteBuffer.allocateDirect(Wal.HEADER_SIZE);
    wal.read(header, 0);
    return WalHeader.parse(header.flip());
  }

  private static void overwrite(ChannelFile file, Path replacement) throws IOException {
    byte[] bytes = Files.readAllBytes(replacement);
    file.write(ByteBuffer.wrap(bytes), 0);
    file.truncate(bytes.length);
  }

  private static FileLock lockAll(ChannelFile shm) throws IOException {
    return shm.channel().lock(LockBytes.WAL_WRITE, 3 + LockBytes.WAL_READERS, false);
  }

  private static void publishEmptyLog(ChannelFile shm, long pages, int pageSize)
      throws IOException {
    try (FileLock lock = lockAll(shm)) {
      assertThat(lock.isValid()).isTrue();
      ByteBuffer before = ByteBuffer.allocateDirect(WalIndex.HEADER_SIZE);
      shm.read(before, 0);
      WalIndexHeader header =
          WalIndexHeader.emptyLog(
              WalIndex.readHeader(before).orElseThrow(), pageSize, pages, 0x5eed);
      writeHeader(shm, header);
      ByteBuffer info = ByteBuffer.allocateDirect(WalCheckpointInfo.SIZE);
      WalCheckpointInfo.RESTARTED.encode(info);
      shm.write(info.flip(), WalIndex.CHECKPOINT_INFO);
    }
  }

  private static void writeHeader(ChannelFile shm, WalIndexHeader header) throws IOException {
    ByteBuffer copy = ByteBuffer.allocateDirect(WalIndexHeader.SIZE);
    header.encode(copy);
    shm.write(copy.flip(), WalIndex.SECOND_COPY);
    shm.write(copy.rewind(), WalIndex.FIRST_COPY);
  }

  /** Appends all pages as one transaction, as a replica would. */
  private static void append(Path database, byte[] pages) throws IOException {
    try (ChannelFile shm = ChannelFile.open(Sqlite.shm(database));
        ChannelFile wal = ChannelFile.open(Sqlite.wal(database));
        FileLock lock = shm.channel().lock(LockBytes.WAL_WRITE, 1, false)) {
      assertThat(lock.isValid()).isTrue();
      ByteBuffer block = ByteBuffer.allocateDirect(WalIndex.BLOCK_SIZE);
      shm.read(block, 0);
      WalIndexHeader index = WalIndex.readHeader(block).orElseThrow();
      WalHeader header = readHeader(wal);
      WalEncoder encoder =
          new WalEncoder(
              header,
              new WalPosition(
                  Wal.frameOffset(index.maxFrame() + 1, PAGE_SIZE), index.frameChecksum()));
      WalHashTable table = new WalHashTable(block, 0);
      int count = pages.length / PAGE_SIZE;
      ByteBuffer frames = ByteBuffer.allocateDirect(count * Wal.frameSize(PAGE_SIZE));
      for (int pgno = 1; pgno <= count; pgno++) {
        ByteBuffer page = ByteBuffer.wrap(pages, (pgno - 1) * PAGE_SIZE, PAGE_SIZE);
        encoder.frame(pgno, pgno == count ? count : 0, page, frames);
        table.append(index.maxFrame() + pgno, pgno);
      }
      wal.write(frames.flip(), Wal.frameOffset(index.maxFrame() + 1, PAGE_SIZE));
      shm.write(
          block.slice(WalIndex.HEADER_SIZE, WalIndex.BLOCK_SIZE - WalIndex.HEADER_SIZE),
          WalIndex.HEADER_SIZE);
      writeHeader(
          shm,
          index.committed(header, index.maxFrame() + count, count, encoder.position().checksum()));
    }
  }
}

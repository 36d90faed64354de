package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class WalTest {

  @TempDir(factory = MemoryDir.class)
  Path dir;

  /** What a log says: the end of its last transaction, and the newest version of each page. */
  private record Scan(WalHeader header, WalPosition committed, long pageCount, byte[] image) {

    long frames() {
      return Wal.framesBefore(committed.offset(), header.pageSize());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {512, 4096, 65536})
  void findsTheTransactionsThatSqliteCommitted(int pageSize) throws Exception {
    Path database = dir.resolve("db");
    try (Connection connection = walDatabase(database, pageSize)) {
      for (int i = 0; i < 5; i++) {
        Sqlite.run(
            connection,
            "INSERT INTO t VALUES(randomblob(" + pageSize * 3 + "))",
            "UPDATE t SET b = randomblob(length(b)) WHERE rowid % 3 = " + i % 3);
        assertSameAsIndex(database);
      }
      Sqlite.run(connection, "DELETE FROM t WHERE rowid > 2", "VACUUM");
      Scan scan = assertSameAsIndex(database);
      assertThat(scan.pageCount())
          .isEqualTo(Long.parseLong(Sqlite.query(connection, "PRAGMA page_count")));
      Path checkpointed = Sqlite.copy(database, "checkpointed");
      try (Connection copy = Sqlite.open(checkpointed)) {
        Sqlite.run(copy, "PRAGMA wal_checkpoint(TRUNCATE)");
      }
      assertThat(Arrays.mismatch(scan.image(), Files.readAllBytes(checkpointed))).isEqualTo(-1);
    }
  }

  @Test
  void framesOfAnEarlierUseOfTheFileDoNotCount() throws Exception {
    Path database = dir.resolve("db");
    try (Connection connection = walDatabase(database, 1024)) {
      Sqlite.run(connection, "INSERT INTO t VALUES(zeroblob(50000))");
      WalHeader first = scan(database).header();
      Sqlite.query(connection, "PRAGMA wal_checkpoint(RESTART)");
      Sqlite.run(connection, "INSERT INTO t VALUES(1)");
      Scan second = assertSameAsIndex(database);
      assertThat(second.header().salt1()).isEqualTo(first.salt1() + 1);
      assertThat(second.header().sequence()).isEqualTo(first.sequence() + 1);
      assertThat(second.header()).isEqualTo(first.restarted(second.header().salt2()));
      assertThat(second.frames()).isLessThan(5);
      assertThat(Files.size(Sqlite.wal(database))).isGreaterThan(50000);
    }
  }

  @Test
  void framesThatASpilledTransactionRewroteAreValidOnceItCommits() throws Exception {
    Path database = dir.resolve("db");
    try (Connection connection = walDatabase(database, 1024)) {
      Sqlite.run(connection, "INSERT INTO t VALUES(1)");
      Scan before = assertSameAsIndex(database);
      Sqlite.run(connection, "PRAGMA cache_size=5", "BEGIN");
      for (int i = 0; i < 200; i++) {
        Sqlite.run(connection, "INSERT INTO t VALUES(randomblob(900))");
        if (i % 20 == 19) {
          Sqlite.run(connection, "UPDATE t SET b = randomblob(900) WHERE rowid % 7 = 3");
        }
      }
      assertThat(Files.size(Sqlite.wal(database)))
          .isGreaterThan(before.committed().offset() + 100 * 1024);
      assertThat(scan(database).committed()).isEqualTo(before.committed());
      ByteBuffer wal = ByteBuffer.wrap(Files.readAllBytes(Sqlite.wal(database)));
      assertThat(zeroSalts(wal)).as("frames that await their checksums").isPositive();

      Sqlite.run(connection, "COMMIT");

      Scan after = assertSameAsIndex(database);
      assertThat(after.frames()).isGreaterThan(200);
      try (ChannelFile file = ChannelFile.open(Sqlite.wal(database))) {
        WalScanner scanner = new WalScanner(after.header());
        scanner.begin(file, before.committed());
        Map<Long, Integer> versions = new HashMap<>();
        while (scanner.next()) {
          versions.merge(scanner.pgno(), 1, Integer::sum);
        }
        assertThat(scanner.committed()).isEqualTo(after.committed());
        assertThat(scanner.committedPageCount()).isEqualTo(after.pageCount());
      }
    }
  }

  @Test
  void theRepeatedFramesOfAPaddedCommitAreValid() throws Exception {
    Path database = dir.resolve("db");
    try (SqliteShell shell = SqliteShell.open(Path.of("file:" + database + "?psow=0"))) {
      shell.run("PRAGMA page_size=512; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
      shell.run("CREATE TABLE t(b); INSERT INTO t VALUES(1);");
      Scan scan = assertSameAsIndex(database);
      assertThat(scan.committed().offset()).isGreaterThan(8192);
      shell.kill();
    }
  }

  /** Whatever damage a log has, the end found is the one that SQLite's recovery finds. */
  @ParameterizedTest
  @CsvSource({"512, 1", "1024, 2", "4096, 3"})
  void damagedLogsEndWhereSqliteEndsThem(int pageSize, int seed) throws Exception {
    Path database = dir.resolve("db");
    Path original;
    try (Connection connection = walDatabase(database, pageSize)) {
      for (int i = 0; i < 6; i++) {
        Sqlite.run(connection, "INSERT INTO t VALUES(randomblob(" + pageSize * 2 + "))");
      }
      original = Sqlite.copy(database, "original");
    }
    byte[] wal = Files.readAllBytes(Sqlite.wal(original));
    Random random = new Random(seed);
    for (int i = 0; i < 80; i++) {
      Path copy = Sqlite.copy(original, "copy");
      Files.write(Sqlite.wal(copy), damage(wal, pageSize, random));
      Scan scan = scan(copy);
      try (Connection connection = Sqlite.open(copy)) {
        Sqlite.query(connection, "SELECT count(*) FROM sqlite_schema");
        WalIndexHeader index = index(copy);
        assertThat(index.maxFrame()).as("damage %d", i).isEqualTo(scan == null ? 0 : scan.frames());
        if (index.maxFrame() > 0) {
          assertThat(index.frameChecksum()).isEqualTo(scan.committed().checksum());
          assertThat(index.pageCount()).isEqualTo(scan.pageCount());
        }
      } catch (SQLException e) {
        // With an unknown version SQLite refuses the database; everything else it must recover.
        assertThat(scan).as("damage %d: %s", i, e).isNull();
      }
    }
  }

  @Test
  void readsNothingBeyondTheLimit() throws Exception {
    Path database = dir.resolve("db");
    try (Connection connection = walDatabase(database, 1024)) {
      Sqlite.run(connection, "INSERT INTO t VALUES(zeroblob(500000))");
      Scan scan = scan(database);
      long limit = Wal.frameOffset(6, 1024);
      try (ChannelFile file = ChannelFile.open(Sqlite.wal(database))) {
        WalScanner scanner = new WalScanner(scan.header());
        scanner.begin(
            (dst, offset) -> {
              assertThat(offset + dst.remaining()).isLessThanOrEqualTo(limit);
              return file.read(dst, offset);
            },
            scan.header().start(),
            0,
            limit + 17);
        int frames = 0;
        while (scanner.next()) {
          frames++;
          assertThat(scanner.offset()).isEqualTo(Wal.frameOffset(frames, 1024));
        }
        assertThat(frames).isEqualTo(5);
        assertThat(scanner.next()).isFalse();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {512, 65536})
  void encodesTheBytesThatSqliteWrote(int pageSize) throws Exception {
    Path database = dir.resolve("db");
    try (Connection connection = walDatabase(database, pageSize)) {
      Sqlite.run(
          connection,
          "INSERT INTO t VALUES(randomblob(100000))",
          "UPDATE t SET b = randomblob(5000)");
      Scan scan = scan(database);
      ByteBuffer out = ByteBuffer.allocate((int) scan.committed().offset());
      scan.header().encode(out);
      WalEncoder encoder = new WalEncoder(scan.header(), scan.header().start());
      try (ChannelFile file = ChannelFile.open(Sqlite.wal(database))) {
        WalScanner scanner = new WalScanner(scan.header());
        scanner.begin(file, scan.header().start());
        while (scanner.next()) {
          assertThat(encoder.position().offset()).isEqualTo(out.position());
          encoder.frame(scanner.pgno(), scanner.commit(), scanner.page(), out);
        }
      }
      assertThat(encoder.position()).isEqualTo(scan.committed());
      assertThat(out.hasRemaining()).isFalse();
      byte[] wal = Arrays.copyOf(Files.readAllBytes(Sqlite.wal(database)), out.capacity());
      assertThat(Arrays.mismatch(out.array(), wal)).isEqualTo(-1);
    }
  }

  @Test
  void sqliteReadsALogWithChecksumsOfEitherByteOrder() throws Exception {
    for (ByteOrder order : new ByteOrder[] {ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN}) {
      Path old = dir.resolve("old" + order);
      Path changed;
      try (Connection connection = walDatabase(old, 1024)) {
        Sqlite.run(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        changed = Sqlite.copy(old, "changed" + order);
      }
      try (Connection connection = Sqlite.open(changed)) {
        Sqlite.run(connection, "INSERT INTO t VALUES('new'),(zeroblob(9000))");
        Sqlite.run(connection, "PRAGMA journal_mode=DELETE", "PRAGMA journal_mode=WAL");
        Sqlite.run(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
      }
      ByteBuffer pages = ByteBuffer.wrap(Files.readAllBytes(changed));
      int count = pages.capacity() / 1024;
      WalHeader header = new WalHeader(order, 1024, 9, 0xfffffffe, 77);
      ByteBuffer wal = ByteBuffer.allocate((int) Wal.frameOffset(count + 1, 1024));
      header.encode(wal);
      assertThat(WalHeader.parse(wal.duplicate().position(0))).isEqualTo(header);
      WalEncoder encoder = new WalEncoder(header, header.start());
      for (int pgno = 1; pgno <= count; pgno++) {
        encoder.frame(pgno, pgno == count ? count : 0, pages.slice((pgno - 1) * 1024, 1024), wal);
      }
      Files.write(Sqlite.wal(old), wal.array());
      try (Connection connection = Sqlite.open(old)) {
        assertThat(Sqlite.query(connection, "PRAGMA integrity_check")).isEqualTo("ok");
        assertThat(Sqlite.query(connection, "SELECT b FROM t WHERE rowid = 1")).isEqualTo("new");
        assertThat(index(old).checksumOrder()).isEqualTo(order);
        assertThat(index(old).salt1()).isEqualTo(0xfffffffe);
      }
    }
  }

  @Test
  void refusesHeadersThatSqliteWouldNotUse() throws Exception {
    ByteBuffer good = ByteBuffer.allocate(32);
    WalHeader.create(4096, 1, 2).encode(good);
    good.flip();
    assertThat(WalHeader.parse(good)).isEqualTo(WalHeader.create(4096, 1, 2));
    for (int offset : new int[] {0, 4, 8, 12, 16, 20, 24, 28}) {
      ByteBuffer bad = ByteBuffer.allocate(32).put(good.duplicate()).flip();
      bad.putInt(offset, bad.getInt(offset) + 2);
      assertThatThrownBy(() -> WalHeader.parse(bad)).isInstanceOf(SqliteFormatException.class);
    }
    assertThatThrownBy(() -> WalHeader.parse(good.limit(31)))
        .isInstanceOf(SqliteFormatException.class);
  }

  private static Connection walDatabase(Path database, int pageSize) throws Exception {
    Connection connection = Sqlite.open(database);
    Sqlite.run(
        connection,
        "PRAGMA page_size=" + pageSize,
        "PRAGMA journal_mode=WAL",
        "PRAGMA wal_autocheckpoint=0",
        "CREATE TABLE t(b)");
    return connection;
  }

  private static WalIndexHeader index(Path database) throws IOException {
    return WalIndex.readHeader(ByteBuffer.wrap(Files.readAllBytes(Sqlite.shm(database))))
        .orElseThrow();
  }

  private static Scan assertSameAsIndex(Path database) throws IOException {
    Scan scan = scan(database);
    WalIndexHeader index = index(database);
    assertThat(scan.frames()).isEqualTo(index.maxFrame());
    assertThat(scan.committed().checksum()).isEqualTo(index.frameChecksum());
    assertThat(scan.pageCount()).isEqualTo(index.pageCount());
    assertThat(scan.header().pageSize()).isEqualTo(index.pageSize());
    assertThat(scan.header().salt1()).isEqualTo(index.salt1());
    assertThat(scan.header().salt2()).isEqualTo(index.salt2());
    return scan;
  }

  /** Null if the log has no valid header. */
  private static Scan scan(Path database) throws IOException {
    try (ChannelFile file = ChannelFile.open(Sqlite.wal(database))) {
      ByteBuffer beginning = ByteBuffer.allocateDirect(Wal.HEADER_SIZE);
      file.read(beginning, 0);
      WalHeader header;
      try {
        header = WalHeader.parse(beginning.flip());
      } catch (SqliteFormatException e) {
        return null;
      }
      Map<Long, byte[]> committed = new HashMap<>();
      Map<Long, byte[]> pending = new HashMap<>();
      WalScanner scanner = new WalScanner(header);
      scanner.begin(file, header.start());
      while (scanner.next()) {
        byte[] page = new byte[header.pageSize()];
        scanner.page().get(page);
        pending.put(scanner.pgno(), page);
        if (scanner.commit() != 0) {
          committed.putAll(pending);
          pending.clear();
        }
      }
      long pages = scanner.committedPageCount();
      byte[] image = Arrays.copyOf(Files.readAllBytes(database), (int) pages * header.pageSize());
      committed.forEach(
          (pgno, page) -> {
            if (pgno <= pages) {
              System.arraycopy(page, 0, image, (int) (pgno - 1) * page.length, page.length);
            }
          });
      return new Scan(header, scanner.committed(), pages, image);
    }
  }

  private static int zeroSalts(ByteBuffer wal) {
    int count = 0;
    for (int at = Wal.HEADER_SIZE; at + 1048 <= wal.limit(); at += 1048) {
      count += wal.getLong(at + 8) == 0 ? 1 : 0;
    }
    return count;
  }

  private static byte[] damage(byte[] wal, int pageSize, Random random) {
    byte[] damaged = wal.clone();
    int frames = (wal.length - Wal.HEADER_SIZE) / Wal.frameSize(pageSize);
    int frame = (int) Wal.frameOffset(1 + random.nextInt(frames), pageSize);
    switch (random.nextInt(6)) {
      case 0:
        return Arrays.copyOf(damaged, random.nextInt(damaged.length + 1));
      case 1: // anywhere
        damaged[random.nextInt(damaged.length)] ^= (byte) (1 << random.nextInt(8));
        break;
      case 2: // a frame's header
        damaged[frame + random.nextInt(Wal.FRAME_HEADER_SIZE)] ^= (byte) (1 << random.nextInt(8));
        break;
      case 3: // the log's header
        damaged[random.nextInt(Wal.HEADER_SIZE)] ^= (byte) (1 << random.nextInt(8));
        break;
      case 4: // a torn tail
        Arrays.fill(damaged, random.nextInt(damaged.length), damaged.length, (byte) 0);
        break;
      default: // two frames changed places
        int size = Wal.frameSize(pageSize);
        System.arraycopy(wal, frame, damaged, Wal.HEADER_SIZE, size);
        System.arraycopy(wal, Wal.HEADER_SIZE, damaged, frame, size);
        break;
    }
    return damaged;
  }
}

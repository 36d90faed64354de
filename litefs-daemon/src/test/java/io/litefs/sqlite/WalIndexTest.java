package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WalIndexTest {

  @TempDir(factory = MemoryDir.class)
  Path dir;

  @ParameterizedTest
  @ValueSource(ints = {512, 4096, 65536})
  void decodesAndEncodesTheHeaderOfALiveConnection(int pageSize) throws Exception {
    Path database = dir.resolve("db");
    try (Connection connection = walDatabase(database, pageSize)) {
      Sqlite.run(connection, "CREATE TABLE t(b)", "INSERT INTO t VALUES(zeroblob(10000))");
      ByteBuffer shm = shm(database);
      WalIndexHeader header = WalIndex.readHeader(shm).orElseThrow();
      assertThat(header.pageSize()).isEqualTo(pageSize);
      assertThat(header.pageCount())
          .isEqualTo(Long.parseLong(Sqlite.query(connection, "PRAGMA page_count")));
      ByteBuffer encoded = ByteBuffer.allocate(WalIndexHeader.SIZE);
      header.encode(encoded);
      assertThat(encoded.flip()).isEqualTo(shm.slice(WalIndex.FIRST_COPY, WalIndexHeader.SIZE));
      assertThat(encoded).isEqualTo(shm.slice(WalIndex.SECOND_COPY, WalIndexHeader.SIZE));

      Sqlite.run(connection, "INSERT INTO t VALUES(1)");
      WalIndexHeader next = WalIndex.readHeader(shm(database)).orElseThrow();
      WalHeader wal = WalHeader.parse(ByteBuffer.wrap(Files.readAllBytes(Sqlite.wal(database))));
      assertThat(header.committed(wal, next.maxFrame(), next.pageCount(), next.frameChecksum()))
          .isEqualTo(next);
    }
  }

  @Test
  void anUnfinishedHeaderIsNone() throws Exception {
    ByteBuffer shm = ByteBuffer.allocateDirect(WalIndex.HEADER_SIZE);
    assertThat(WalIndex.readHeader(shm)).isEmpty();
    WalIndexHeader header = WalIndexHeader.emptyLog(null, 4096, 7, 0x123456789L);
    WalIndex.writeHeader(shm, header);
    assertThat(WalIndex.readHeader(shm)).contains(header);
    for (int i = 0; i < 2 * WalIndexHeader.SIZE; i++) {
      shm.put(i, (byte) (shm.get(i) ^ 1));
      assertThat(WalIndex.readHeader(shm)).as("byte %d", i).isEmpty();
      shm.put(i, (byte) (shm.get(i) ^ 1));
    }
    for (int copy : new int[] {WalIndex.FIRST_COPY, WalIndex.SECOND_COPY}) {
      shm.put(copy + 20, (byte) 9);
    }
    assertThat(WalIndex.readHeader(shm)).as("equal copies, bad checksum").isEmpty();
    WalIndex.writeHeader(shm, header);
    WalIndex.invalidateHeader(shm);
    assertThat(WalIndex.readHeader(shm)).isEmpty();
    assertThat(WalIndex.readHeader(shm.limit(100))).isEmpty();
  }

  @Test
  void headersOfEmptyLogsDifferFromAllBefore() {
    WalIndexHeader first = WalIndexHeader.emptyLog(null, 65536, 1, -1);
    WalIndexHeader second = WalIndexHeader.emptyLog(first, 65536, 1, 5);
    assertThat(second.change()).isEqualTo(first.change() + 1);
    assertThat(second.salt1()).isEqualTo(first.salt1() + 1);
    assertThat(second.salt2()).isEqualTo(5);
    assertThat(second.changed().change()).isEqualTo(second.change() + 1);
    ByteBuffer copy = ByteBuffer.allocate(WalIndexHeader.SIZE);
    second.encode(copy);
    assertThat(WalIndexHeader.decode(copy.flip())).contains(second);
  }

  @Test
  void decodesTheStateOfCheckpoints() throws Exception {
    Path database = dir.resolve("db");
    Path copy;
    try (Connection connection = walDatabase(database, 1024)) {
      Sqlite.run(connection, "CREATE TABLE t(b)", "INSERT INTO t VALUES(zeroblob(20000))");
      long maxFrame = WalIndex.readHeader(shm(database)).orElseThrow().maxFrame();
      copy = Sqlite.copy(database, "copy");
      Sqlite.run(connection, "PRAGMA wal_checkpoint(PASSIVE)");
      WalCheckpointInfo info = WalIndex.readCheckpointInfo(shm(database));
      assertThat(info.backfilled()).isEqualTo(maxFrame);
      assertThat(info.backfillAttempted()).isEqualTo(maxFrame);
      Sqlite.run(connection, "INSERT INTO t VALUES(1)"); // begins a new log
      assertThat(WalIndex.readCheckpointInfo(shm(database))).isEqualTo(WalCheckpointInfo.RESTARTED);
    }
    try (Connection connection = Sqlite.open(copy)) {
      Sqlite.query(connection, "SELECT count(*) FROM t");
      ByteBuffer shm = shm(copy);
      long maxFrame = WalIndex.readHeader(shm).orElseThrow().maxFrame();
      WalCheckpointInfo info = WalIndex.readCheckpointInfo(shm);
      assertThat(info).isEqualTo(WalCheckpointInfo.recovered(maxFrame));
      ByteBuffer rewritten = ByteBuffer.allocate(WalIndex.HEADER_SIZE);
      WalIndex.writeCheckpointInfo(rewritten, info);
      assertThat(WalIndex.readCheckpointInfo(rewritten)).isEqualTo(info);
      assertThat(rewritten.slice(96, 40)).isEqualTo(shm.slice(96, 40));
    }
    assertThatThrownBy(() -> new WalCheckpointInfo(0, List.of(0L), 0))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void hashTablesAreThoseThatSqliteBuilds() throws Exception {
    Path database = dir.resolve("db");
    Path copy;
    try (Connection connection = walDatabase(database, 512)) {
      Sqlite.run(
          connection,
          "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
              + " INSERT INTO t SELECT i, randomblob(450) FROM n",
          "UPDATE t SET b = randomblob(400)");
      copy = Sqlite.copy(database, "copy");
    }
    try (Connection connection = Sqlite.open(copy)) {
      Sqlite.query(connection, "SELECT count(*) FROM t WHERE a < 5"); // recovers the index
      byte[] shm = Files.readAllBytes(Sqlite.shm(copy));
      long maxFrame = WalIndex.readHeader(ByteBuffer.wrap(shm)).orElseThrow().maxFrame();
      assertThat(WalHashTable.blockOf(maxFrame)).isGreaterThanOrEqualTo(2);
      byte[] ours = new byte[shm.length];
      System.arraycopy(shm, 0, ours, 0, WalIndex.HEADER_SIZE);
      Map<Long, Long> newest = new HashMap<>();
      for (long[] frame : frames(copy)) {
        block(ours, WalHashTable.blockOf(frame[0])).append(frame[0], frame[1]);
        newest.put(frame[1], frame[0]);
      }
      assertThat(Arrays.mismatch(ours, shm)).isEqualTo(-1);
      newest.forEach(
          (pgno, frame) -> assertThat(find(ours, pgno, maxFrame)).isEqualTo(frame.longValue()));
      assertThat(find(ours, newest.size() + 10_000, maxFrame)).isZero();
      assertThat(find(ours, 1, 0)).isZero();
    }
  }

  @Test
  void remnantsOfAWriterThatDiedAreRemoved() {
    byte[] shm = new byte[2 * WalIndex.BLOCK_SIZE];
    byte[] clean = new byte[2 * WalIndex.BLOCK_SIZE];
    for (long frame = 1; frame <= 6000; frame++) {
      block(shm, WalHashTable.blockOf(frame)).append(frame, frame % 700 + 1);
    }
    for (long frame = 1; frame <= 3000; frame++) {
      block(clean, 0).append(frame, frame % 700 + 1);
    }
    block(shm, 0).append(3001, 9);
    block(clean, 0).append(3001, 9);
    assertThat(Arrays.mismatch(shm, 0, 32768, clean, 0, 32768)).isEqualTo(-1);
    assertThat(find(shm, 9, 3000)).isEqualTo(2808);
    assertThat(find(shm, 9, 3001)).isEqualTo(3001);
  }

  @Test
  void blocksBeginWhereTheDocumentSays() {
    assertThat(WalHashTable.blockOf(1)).isZero();
    assertThat(WalHashTable.blockOf(4062)).isZero();
    assertThat(WalHashTable.blockOf(4063)).isEqualTo(1);
    assertThat(WalHashTable.blockOf(4062 + 4096)).isEqualTo(1);
    assertThat(WalHashTable.blockOf(4062 + 4097)).isEqualTo(2);
    WalHashTable second = new WalHashTable(ByteBuffer.allocate(WalIndex.BLOCK_SIZE), 1);
    assertThat(second.firstFrame()).isEqualTo(4063);
    assertThat(second.lastFrame()).isEqualTo(8158);
    assertThatThrownBy(() -> second.append(4062, 1)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void aDamagedTableEndsInAnErrorAndNotInALoop() {
    ByteBuffer block = ByteBuffer.allocate(WalIndex.BLOCK_SIZE);
    WalHashTable table = new WalHashTable(block, 1);
    table.append(4063, 1);
    for (int i = 16384; i < 32768; i++) {
      block.put(i, (byte) 1);
    }
    assertThatThrownBy(() -> table.append(4064, 1)).isInstanceOf(IllegalStateException.class);
    assertThat(table.find(1, 4064)).isZero();
  }

  private static long find(byte[] shm, long pgno, long maxFrame) {
    for (int number = WalHashTable.blockOf(Math.max(1, maxFrame)); number >= 0; number--) {
      long frame = block(shm, number).find(pgno, maxFrame);
      if (frame != 0) {
        return frame;
      }
    }
    return 0;
  }

  private static WalHashTable block(byte[] shm, int number) {
    return new WalHashTable(
        ByteBuffer.wrap(shm, number * WalIndex.BLOCK_SIZE, WalIndex.BLOCK_SIZE).slice(), number);
  }

  private static List<long[]> frames(Path database) throws IOException {
    List<long[]> frames = new ArrayList<>();
    try (ChannelFile wal = ChannelFile.open(Sqlite.wal(database))) {
      ByteBuffer beginning = ByteBuffer.allocateDirect(Wal.HEADER_SIZE);
      wal.read(beginning, 0);
      WalHeader header = WalHeader.parse(beginning.flip());
      WalScanner scanner = new WalScanner(header);
      scanner.begin(wal, header.start());
      for (long frame = 1; scanner.next(); frame++) {
        frames.add(new long[] {frame, scanner.pgno()});
      }
    }
    return frames;
  }

  private static ByteBuffer shm(Path database) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(Sqlite.shm(database)));
  }

  private static Connection walDatabase(Path database, int pageSize) throws Exception {
    Connection connection = Sqlite.open(database);
    Sqlite.run(
        connection,
        "PRAGMA page_size=" + pageSize,
        "PRAGMA journal_mode=WAL",
        "PRAGMA wal_autocheckpoint=0");
    return connection;
  }
}

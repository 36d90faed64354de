package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxHeader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Data directories as LiteFS (Go) leaves them, made of the transactions that it recorded (see
 * {@code ltx-format/src/test/resources/vectors}): they are opened at the position of the last one
 * and written to, a replica follows, and after a stop they are what the original opens: its own
 * files, of which the last LTX file says the checksum of the database, with no WAL beside it.
 */
class OriginalDataDirectoryTest {

  private static final Path VECTORS =
      SqliteSource.module().resolveSibling("ltx-format/src/test/resources/vectors");
  private static final int WAL_HEADER = 32;
  private static final int FRAME_HEADER = 24;

  /** What the original had come to when it ended. */
  enum State {
    /** The last connection was closed, and with it the WAL removed. */
    CLEAN("journal.db", 6),
    CLEAN_WAL("wal.db", 7),
    /** Checkpointed, and the WAL begun anew with the last transaction. */
    WAL_BEGUN_ANEW("wal.db", 7),
    /** No checkpoint yet. */
    ALL_IN_THE_WAL("wal.db", 6),
    /** Emptied by a checkpoint, with the index of before. */
    WAL_EMPTY("wal.db", 7),
    /** Only the last file of the log is left. */
    AFTER_RETENTION("journal.db", 6),
    /** A file that it was receiving, one that it had only begun, and a journal that is over. */
    LEFTOVERS("journal.db", 6),
    /** Killed with a transaction that had spilled its pages into the database. */
    HOT_JOURNAL("journal.db", 6);

    private final String db;
    private final int txid;

    State(String db, int txid) {
      this.db = db;
      this.txid = txid;
    }
  }

  @TempDir private Path dir;

  private static Path ltx(String db, int txid) {
    return VECTORS
        .resolve("ltx-v1-lz4/" + db)
        .resolve(String.format("%016x-%016x.ltx", txid, txid));
  }

  /** The pages of one transaction, in their order in the file. */
  private interface Pages {
    void accept(LtxHeader header, long pgno, ByteBuffer page) throws IOException;
  }

  private static void read(String db, int txid, Pages pages) throws IOException {
    Path file = ltx(db, txid);
    try (FileChannel in = FileChannel.open(file);
        LtxDecoder decoder = new LtxDecoder(in, file.toString())) {
      ByteBuffer page = ByteBuffer.allocate(decoder.header().pageSize());
      for (long pgno = decoder.next(page.clear()); pgno != 0; pgno = decoder.next(page.clear())) {
        pages.accept(decoder.header(), pgno, page.duplicate().clear());
      }
    }
  }

  /** The database after a transaction. */
  private static byte[] database(String db, int txid) throws IOException {
    byte[][] content = {new byte[0]};
    for (int i = 1; i <= txid; i++) {
      read(
          db,
          i,
          (header, pgno, page) -> {
            int size = Math.toIntExact(header.commit() * header.pageSize());
            if (content[0].length != size) {
              content[0] = java.util.Arrays.copyOf(content[0], size);
            }
            page.get(content[0], Math.toIntExact((pgno - 1) * header.pageSize()), page.capacity());
          });
    }
    return content[0];
  }

  /** The WAL that the transactions were captured from, as SQLite's documents describe it. */
  private static byte[] wal(String db, int first, int last) throws IOException {
    ByteArrayOutputStream wal = new ByteArrayOutputStream();
    int[] sum = new int[2];
    for (int i = first; i <= last; i++) {
      long[] left = {0};
      read(db, i, (header, pgno, page) -> left[0]++);
      read(
          db,
          i,
          (header, pgno, page) -> {
            if (wal.size() == 0) {
              ByteBuffer start = ByteBuffer.allocate(WAL_HEADER);
              start.putInt(0x377f0683).putInt(3007000).putInt(header.pageSize()).putInt(0);
              start.putInt(header.walSalt1()).putInt(header.walSalt2());
              add(sum, start, 0, 24);
              start.putInt(sum[0]).putInt(sum[1]);
              wal.writeBytes(start.array());
            }
            ByteBuffer frame = ByteBuffer.allocate(FRAME_HEADER + page.capacity());
            frame.putInt((int) pgno).putInt(--left[0] == 0 ? (int) header.commit() : 0);
            frame.putInt(header.walSalt1()).putInt(header.walSalt2());
            frame.position(FRAME_HEADER).put(page);
            add(sum, frame, 0, 8);
            add(sum, frame, FRAME_HEADER, frame.capacity());
            frame.putInt(16, sum[0]).putInt(20, sum[1]);
            wal.writeBytes(frame.array());
          });
    }
    return wal.toByteArray();
  }

  private static void add(int[] sum, ByteBuffer bytes, int from, int to) {
    for (int i = from; i < to; i += 8) {
      sum[0] += bytes.getInt(i) + sum[1];
      sum[1] += bytes.getInt(i + 4) + sum[0];
    }
  }

  private void lay(State state, Path data) throws IOException {
    Path own = Files.createDirectories(data.resolve("dbs").resolve(state.db));
    Path log = Files.createDirectories(own.resolve("ltx"));
    Files.writeString(data.resolve("clusterid"), "LFSC0123456789ABCDEF\n");
    for (int i = state == State.AFTER_RETENTION ? state.txid : 1; i <= state.txid; i++) {
      Files.copy(ltx(state.db, i), log.resolve(ltx(state.db, i).getFileName()));
    }
    Path database = own.resolve("database");
    Files.write(database, database(state.db, state.txid));
    switch (state) {
      case CLEAN, CLEAN_WAL, AFTER_RETENTION -> {
        // That is all.
      }
      case WAL_BEGUN_ANEW -> {
        Files.write(database, database(state.db, 6));
        Files.write(own.resolve("wal"), wal(state.db, 7, 7));
      }
      case ALL_IN_THE_WAL -> {
        Files.write(database, database(state.db, 1));
        Files.write(own.resolve("wal"), wal(state.db, 2, 6));
        Files.write(own.resolve("shm"), new byte[32768]);
      }
      case WAL_EMPTY -> {
        Files.write(own.resolve("wal"), new byte[0]);
        byte[] index = new byte[32768];
        new java.util.Random(1).nextBytes(index);
        Files.write(own.resolve("shm"), index);
      }
      case LEFTOVERS -> {
        Files.write(log.resolve("0000000000000007-0000000000000007.ltx.tmp"), new byte[50]);
        Files.write(log.resolve("0000000000000007-0000000000000007.ltx"), new byte[0]);
        Files.write(own.resolve("journal"), new byte[512]);
      }
      case HOT_JOURNAL -> crashMidTransaction(database, own);
    }
  }

  private void crashMidTransaction(Path database, Path own) throws IOException {
    Path plain = dir.resolve("plain.db");
    Files.copy(database, plain);
    try (Session writer = Driver.PYTHON.open(plain)) {
      writer.runAll(
          "PRAGMA cache_size = 1",
          "BEGIN IMMEDIATE",
          "CREATE TABLE spilled AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c"
              + " WHERE i < 50) SELECT i, randomblob(3000) AS b FROM c");
      assertThat(Files.size(plain)).isGreaterThan(Files.size(database));
      Files.write(database, Files.readAllBytes(plain));
      Files.copy(dir.resolve("plain.db-journal"), own.resolve("journal"));
    }
  }

  @ParameterizedTest
  @EnumSource
  void isOpenedAndLeftAsTheOriginalOpensIt(State state) throws IOException {
    byte[] content = database(state.db, state.txid);
    Path known = Files.write(dir.resolve("known.db"), content);
    Position pos = new Position(state.txid, new DatabaseImage(known).checksum());
    try (Node primary = Node.create("original", NodeConfig.primary());
        Node replica = Node.create("follower", NodeConfig.replicaOf(primary.port()))) {
      lay(state, Files.createDirectories(primary.data()));
      primary.start();
      Position opened = primary.pos(state.db);
      assertThat(opened.txid()).as("nothing is lost").isGreaterThanOrEqualTo(pos.txid());
      if (state != State.HOT_JOURNAL) { // what a rollback leaves in free pages is a transaction
        assertThat(opened).isEqualTo(pos);
        new DatabaseImage(known).assertSameBytes(primary.export(state.db));
      }
      try (Session writer = Driver.SHELL.open(primary.db(state.db))) {
        assertThat(writer.value("PRAGMA integrity_check")).isEqualTo("ok");
        writer.run("CREATE TABLE added AS SELECT 1 AS x");
      }
      assertThat(primary.pos(state.db).txid()).isEqualTo(opened.txid() + 1);
      replica.start();
      replica.awaitPos(state.db, primary.pos(state.db));
      primary.export(state.db).assertSameBytes(replica.export(state.db));
      Position last = primary.pos(state.db);
      assertThat(primary.stop()).isZero();
      requireOpenableByTheOriginal(primary.data(), state.db, last);
    }
  }

  private static void requireOpenableByTheOriginal(Path data, String db, Position last)
      throws IOException {
    Path own = data.resolve("dbs").resolve(db);
    assertThat(Files.readString(data.resolve("clusterid")).strip())
        .isEqualTo("LFSC0123456789ABCDEF");
    assertThat(names(data.resolve("dbs"))).containsExactly(db);
    assertThat(names(own)).containsOnly("database", "ltx", "checksums");
    DatabaseImage image = new DatabaseImage(own.resolve("database"));
    assertThat(new Position(last.txid(), image.checksum())).isEqualTo(last);
    List<String> files = List.copyOf(names(own.resolve("ltx")));
    assertThat(files).allMatch(name -> name.matches("[0-9a-f]{16}-[0-9a-f]{16}\\.ltx"));
    Path end = own.resolve("ltx").resolve(files.get(files.size() - 1));
    assertThat(end.getFileName().toString()).endsWith(String.format("-%016x.ltx", last.txid()));
    byte[] bytes = Files.readAllBytes(end);
    assertThat(new String(bytes, 0, 4, java.nio.charset.StandardCharsets.US_ASCII))
        .isEqualTo("LTX1");
    assertThat(ByteBuffer.wrap(bytes).getLong(bytes.length - 16)).isEqualTo(last.checksum());
  }

  private static Set<String> names(Path dir) throws IOException {
    try (Stream<Path> files = Files.list(dir)) {
      return files
          .map(file -> file.getFileName().toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }
}

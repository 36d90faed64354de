package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class JournalRollbackTest {

  @TempDir(factory = MemoryDir.class)
  Path dir;

  static List<Arguments> journals() {
    List<Arguments> all = new ArrayList<>();
    for (int pageSize : new int[] {512, 1024, 4096, 65536}) {
      for (String mode : List.of("DELETE", "TRUNCATE", "PERSIST")) {
        for (String synchronous : List.of("OFF", "NORMAL", "EXTRA")) {
          all.add(Arguments.of(pageSize, mode, synchronous));
        }
      }
    }
    return all;
  }

  @ParameterizedTest
  @MethodSource("journals")
  void restoresWhatAKilledProcessLeft(int pageSize, String mode, String synchronous)
      throws Exception {
    Path database = Crash.in(dir, pageSize, mode, synchronous);
    Path before = dir.resolve("before");
    assertThat(Files.mismatch(database, before)).isNotNegative();
    assertThat(segments(Sqlite.journal(database)))
        .matches(n -> synchronous.equals("OFF") ? n == 1 : n > 1);
    Path ofShell = Sqlite.copy(database, "shell");
    Path ofLibrary = Sqlite.copy(database, "library");

    JournalRollback.Result result = Crash.rollback(database);

    assertThat(result.hot()).isTrue();
    assertThat(result.pageSize()).isEqualTo(pageSize);
    assertThat(result.pageCount() * pageSize).isEqualTo(Files.size(before));
    assertThat(result.restoredPages()).isPositive();
    assertThat(Files.mismatch(database, before)).isEqualTo(-1);
    Sqlite.touch(ofLibrary);
    assertThat(Files.mismatch(ofLibrary, before)).isEqualTo(-1);
    try (SqliteShell shell = SqliteShell.open(ofShell)) {
      assertThat(shell.run("PRAGMA integrity_check;")).isEqualTo("ok");
    }
    assertThat(Files.mismatch(ofShell, before)).isEqualTo(-1);
  }

  /** SQLite does not journal them: their content means nothing, but it may differ afterwards. */
  @Test
  void pagesThatWereFreeMayChange() throws Exception {
    Path database = dir.resolve("db");
    try (SqliteShell shell = SqliteShell.open(database)) {
      shell.run(
          "CREATE TABLE t(b); CREATE TABLE u(b);"
              + "INSERT INTO t SELECT randomblob(3000) FROM generate_series(1, 100);"
              + "INSERT INTO u VALUES(1); DELETE FROM t;");
      Files.copy(database, dir.resolve("before"));
      shell.run(
          "PRAGMA cache_size=5; BEGIN;"
              + "INSERT INTO t SELECT randomblob(3000) FROM generate_series(1, 100);");
      shell.kill();
    }
    Path ofLibrary = Sqlite.copy(database, "library");

    assertThat(Crash.rollback(database).hot()).isTrue();

    Sqlite.touch(ofLibrary);
    assertThat(Files.mismatch(database, ofLibrary)).isEqualTo(-1);
    assertThat(Files.mismatch(database, dir.resolve("before"))).isNotNegative();
    try (Connection connection = Sqlite.open(database)) {
      assertThat(Sqlite.query(connection, "PRAGMA integrity_check")).isEqualTo("ok");
      assertThat(Sqlite.query(connection, "SELECT count(*) FROM t")).isEqualTo("0");
    }
  }

  @Test
  void theFirstTransactionLeavesAnEmptyDatabase() throws Exception {
    Path database = dir.resolve("first");
    try (SqliteShell shell = SqliteShell.open(database)) {
      shell.run(
          "PRAGMA cache_size=5; BEGIN; CREATE TABLE t(b);"
              + " INSERT INTO t SELECT randomblob(3000) FROM generate_series(1, 100);");
      shell.kill();
    }
    assertThat(Files.size(database)).isPositive();
    Path ofLibrary = Sqlite.copy(database, "library");

    assertThat(Crash.rollback(database))
        .matches(result -> result.hot() && result.pageCount() == 0 && result.restoredPages() == 0);

    Sqlite.touch(ofLibrary);
    assertThat(Files.size(database)).isZero();
    assertThat(Files.size(ofLibrary)).isZero();
  }

  @Test
  void finishedJournalsAreNotHot() throws Exception {
    for (String mode : List.of("TRUNCATE", "PERSIST")) {
      Path database = dir.resolve("done" + mode);
      try (SqliteShell shell = SqliteShell.open(database)) {
        shell.run("PRAGMA journal_mode=" + mode + "; CREATE TABLE t(b); INSERT INTO t VALUES(1);");
        shell.kill();
      }
      Path before = Sqlite.copy(database, "copy");
      assertThat(Crash.rollback(database)).matches(result -> !result.hot());
      assertThat(Files.mismatch(database, before)).isEqualTo(-1);
    }
  }

  @Test
  void theRemnantOfAnotherDatabaseIsNotPlayedIntoAnEmptyOne() throws Exception {
    Path database = Crash.in(dir, 1024, "DELETE", "NORMAL");
    Files.write(database, new byte[0]);
    Path ofLibrary = Sqlite.copy(database, "library");

    assertThat(Crash.rollback(database)).matches(result -> !result.hot());

    Sqlite.touch(ofLibrary);
    assertThat(Files.size(database)).isZero();
    assertThat(Files.size(ofLibrary)).isZero();
    assertThat(Sqlite.journal(ofLibrary)).doesNotExist();
  }

  /** Whatever damage a journal has, the outcome is SQLite's, byte for byte. */
  @ParameterizedTest
  @CsvSource({"512, DELETE, NORMAL", "1024, PERSIST, EXTRA", "1024, PERSIST, OFF"})
  void damagedJournalsRestoreWhatSqliteRestores(int pageSize, String mode, String synchronous)
      throws Exception {
    Path database = Crash.in(dir, pageSize, mode, synchronous);
    byte[] journal = Files.readAllBytes(Sqlite.journal(database));
    Random random = new Random(pageSize);
    for (int i = 0; i < 120; i++) {
      Path ours = Sqlite.copy(database, "ours");
      Path theirs = Sqlite.copy(database, "theirs");
      byte[] damaged = damage(journal, pageSize, random);
      Files.write(Sqlite.journal(ours), damaged);
      Files.write(Sqlite.journal(theirs), damaged);

      Crash.rollback(ours);
      Sqlite.touch(theirs);

      assertThat(Files.mismatch(ours, theirs)).as("damage %d", i).isEqualTo(-1);
    }
  }

  @ParameterizedTest
  @CsvSource({"32", "512", "1024", "4096", "65536"})
  void sectorSizesAreTheJournals(int sectorSize) throws Exception {
    for (boolean pageSizeGiven : new boolean[] {true, false}) {
      for (int lastCount : new int[] {3, 1, 0, -1}) {
        Path ours = database("ours", 2048, 12);
        Path theirs = Sqlite.copy(ours, "theirs");
        ByteBuffer journal = ByteBuffer.allocate(1 << 20);
        segment(journal, sectorSize, pageSizeGiven ? 2048 : 0, 10, 2, 2, 4);
        segment(journal, sectorSize, pageSizeGiven ? 2048 : 0, 10, lastCount, 5, 11, 9);
        byte[] bytes = new byte[journal.position()];
        journal.get(0, bytes);
        Files.write(Sqlite.journal(ours), bytes);
        Files.write(Sqlite.journal(theirs), bytes);

        assertThat(Crash.rollback(ours))
            .matches(result -> result.hot() && result.pageCount() == 10);

        Sqlite.touch(theirs);
        assertThat(Files.size(ours)).isEqualTo(10 * 2048);
        assertThat(Files.mismatch(ours, theirs)).isEqualTo(-1);
      }
    }
  }

  @Test
  void aFileThatIsTooShortIsExtended() throws Exception {
    for (long size : new long[] {5 * 1024, 9 * 1024, 9 * 1024 + 512, 10 * 1024 - 1}) {
      Path ours = database("ours", 1024, 10);
      try (ChannelFile file = ChannelFile.open(ours)) {
        file.truncate(size);
      }
      Path theirs = Sqlite.copy(ours, "theirs");
      ByteBuffer journal = ByteBuffer.allocate(1 << 16);
      segment(journal, 512, 1024, 10, 1, 2);
      byte[] bytes = new byte[journal.position()];
      journal.get(0, bytes);
      Files.write(Sqlite.journal(ours), bytes);
      Files.write(Sqlite.journal(theirs), bytes);

      Crash.rollback(ours);
      Sqlite.touch(theirs);

      assertThat(Files.mismatch(ours, theirs)).as("from %d bytes", size).isEqualTo(-1);
    }
  }

  @Test
  void aHeaderIsValidOnlyWithSizesThatSqliteAccepts() {
    assertThat(Journal.isValidHeader(header(512, 4096))).isTrue();
    assertThat(Journal.isValidHeader(header(32, 0))).isTrue();
    assertThat(Journal.isValidHeader(header(65536, 65536))).isTrue();
    assertThat(Journal.isValidHeader(header(16, 4096))).isFalse();
    assertThat(Journal.isValidHeader(header(513, 4096))).isFalse();
    assertThat(Journal.isValidHeader(header(131072, 4096))).isFalse();
    assertThat(Journal.isValidHeader(header(512, 256))).isFalse();
    assertThat(Journal.isValidHeader(header(512, 131072))).isFalse();
    assertThat(Journal.isValidHeader(header(512, -1))).isFalse();
    assertThat(Journal.isValidHeader(header(512, 4096).putLong(0, 0))).isFalse();
    assertThat(Journal.isValidHeader(header(512, 4096).limit(27))).isFalse();
  }

  private static ByteBuffer header(int sectorSize, int pageSize) {
    return ByteBuffer.allocate(28)
        .putLong(0, JournalHeader.MAGIC)
        .putInt(20, sectorSize)
        .putInt(24, pageSize);
  }

  private static long segments(Path journal) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(journal));
    long count = 0;
    for (int at = 0; at + 512 <= bytes.limit(); at += 512) {
      count += bytes.getLong(at) == JournalHeader.MAGIC ? 1 : 0;
    }
    return count;
  }

  private static byte[] damage(byte[] journal, int pageSize, Random random) {
    byte[] damaged = journal.clone();
    int segment = random.nextInt(damaged.length / 512) * 512;
    for (int i = random.nextInt(3); i > 0 && segment >= 512; segment -= 512) {
      // Towards the start, to the header of some segment.
      if (ByteBuffer.wrap(damaged).getLong(segment) == JournalHeader.MAGIC) {
        i--;
      }
    }
    switch (random.nextInt(6)) {
      case 0:
        return Arrays.copyOf(damaged, random.nextInt(damaged.length));
      case 1: // anywhere
        damaged[random.nextInt(damaged.length)] ^= (byte) (1 << random.nextInt(8));
        break;
      case 2: // the record count or the nonce of a segment
        damaged[segment + 8 + random.nextInt(8)] = (byte) random.nextInt(256);
        break;
      case 3: // the sizes in the first header, within reason
        damaged[18 + random.nextInt(10)] = (byte) (1 << random.nextInt(8));
        break;
      case 4: // a page number
        int record = 512 + random.nextInt(5) * (pageSize + 8);
        ByteBuffer.wrap(damaged).putInt(record, random.nextInt(200));
        break;
      default: // a torn tail
        Arrays.fill(damaged, random.nextInt(damaged.length), damaged.length, (byte) 0);
        break;
    }
    return damaged;
  }

  private Path database(String name, int pageSize, int pages) throws Exception {
    Path database = dir.resolve(name);
    Files.deleteIfExists(database);
    Files.deleteIfExists(Sqlite.journal(database));
    try (Connection connection = Sqlite.open(database)) {
      Sqlite.run(
          connection,
          "PRAGMA page_size=" + pageSize,
          "CREATE TABLE t(b)",
          "INSERT INTO t VALUES(zeroblob(" + (pages - 3) * pageSize + "))");
    }
    assertThat(Files.size(database)).isGreaterThanOrEqualTo((long) (pages - 2) * pageSize);
    return database;
  }

  /**
   * Appends a segment with the given pages, at the next sector; {@code count} need not be their
   * number.
   */
  private static void segment(
      ByteBuffer journal, int sectorSize, int pageSize, int initialPages, int count, int... pages) {
    int begin = (journal.position() + sectorSize - 1) / sectorSize * sectorSize;
    int nonce = begin + 7;
    journal
        .position(begin)
        .putLong(JournalHeader.MAGIC)
        .putInt(count)
        .putInt(nonce)
        .putInt(initialPages)
        .putInt(sectorSize)
        .putInt(pageSize)
        .position(begin + sectorSize);
    int size = pageSize == 0 ? 2048 : pageSize;
    for (int page : pages) {
      byte[] content = new byte[size];
      new Random(page).nextBytes(content);
      int sum = nonce;
      for (int i = size - 200; i > 0; i -= 200) {
        sum += content[i] & 0xff;
      }
      journal.putInt(page).put(content).putInt(sum);
    }
  }
}

package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DatabaseHeaderTest {

  @TempDir(factory = MemoryDir.class)
  Path dir;

  private ByteBuffer header;
  private long size;

  @BeforeEach
  void createDatabase() throws Exception {
    Path database = dir.resolve("db");
    try (Connection connection = Sqlite.open(database)) {
      Sqlite.run(connection, "PRAGMA page_size=1024", "CREATE TABLE t(a)", "CREATE TABLE u(a)");
    }
    size = Files.size(database);
    header = ByteBuffer.wrap(Files.readAllBytes(database));
  }

  @ParameterizedTest
  @ValueSource(ints = {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536})
  void agreesWithSqlite(int pageSize) throws Exception {
    Path database = dir.resolve("db" + pageSize);
    try (Connection connection = Sqlite.open(database)) {
      Sqlite.run(
          connection,
          "PRAGMA page_size=" + pageSize,
          "PRAGMA encoding='UTF-16be'",
          "CREATE TABLE t(a)",
          "INSERT INTO t VALUES(zeroblob(100000))",
          "CREATE TABLE u(a)");
      DatabaseHeader header = DatabaseHeader.parse(ByteBuffer.wrap(Files.readAllBytes(database)));
      assertThat(header.pageSize()).isEqualTo(pageSize);
      assertThat(header.isWal()).isFalse();
      assertThat(header.isPageCountValid()).isTrue();
      assertThat(header.pageCount(0))
          .isEqualTo(Long.parseLong(Sqlite.query(connection, "PRAGMA page_count")))
          .isEqualTo(Files.size(database) / pageSize);
      assertThat(header.schemaCookie())
          .isEqualTo(Long.parseLong(Sqlite.query(connection, "PRAGMA schema_version")));
      assertThat(header.textEncoding()).isEqualTo(3);
      assertThat(header.changeCounter()).isEqualTo(3);
      assertThat(header.incompleteReason(Files.size(database))).isEmpty();

      Sqlite.run(connection, "PRAGMA journal_mode=WAL");
      assertThat(DatabaseHeader.parse(ByteBuffer.wrap(Files.readAllBytes(database))).isWal())
          .isTrue();
    }
  }

  @Test
  void theBufferStaysAsItIs() throws Exception {
    ByteBuffer shifted = ByteBuffer.allocateDirect(300).position(7);
    shifted.put(7, header, 0, 100);
    assertThat(DatabaseHeader.parse(shifted).pageSize()).isEqualTo(1024);
    assertThat(shifted.position()).isEqualTo(7);
    assertThat(shifted.limit()).isEqualTo(300);
  }

  @Test
  void aPageCountThatAnOldVersionLeftBehindDoesNotHold() throws Exception {
    header.putInt(24, header.getInt(24) + 1);
    DatabaseHeader old = DatabaseHeader.parse(header);
    assertThat(old.isPageCountValid()).isFalse();
    assertThat(old.pageCount(7 * 1024)).isEqualTo(7);
    assertThat(old.pageCount(7 * 1024 + 1)).isEqualTo(8);
    header.putInt(92, header.getInt(24)).putInt(28, 0);
    assertThat(DatabaseHeader.parse(header).isPageCountValid()).isFalse();
  }

  @ParameterizedTest
  @CsvSource({
    "0, 83, does not begin with",
    "16, 3, page size",
    "18, 3, write version 3",
    "19, 3, read version 3",
    "21, 63, payload fractions",
  })
  void namesWhatIsWrong(int offset, byte value, String reason) {
    header.put(offset, offset == 0 ? (byte) 0 : value);
    assertThatThrownBy(() -> DatabaseHeader.parse(header))
        .isInstanceOf(SqliteFormatException.class)
        .hasMessageContaining(reason);
    assertThat(DatabaseHeader.incompleteReason(header, size).orElseThrow()).contains(reason);
  }

  @Test
  void reservedBytesMustLeaveEnoughOfAPage() {
    header.putShort(16, (short) 512).put(20, (byte) 33);
    assertThatThrownBy(() -> DatabaseHeader.parse(header)).hasMessageContaining("reserved");
  }

  @Test
  void saysWhyAFileIsNotComplete() {
    assertThat(DatabaseHeader.incompleteReason(header, size)).isEmpty();
    assertThat(DatabaseHeader.incompleteReason(header, size + 1024)).isEmpty();
    assertThat(DatabaseHeader.incompleteReason(header, size + 1).orElseThrow())
        .contains("not a multiple");
    assertThat(DatabaseHeader.incompleteReason(header, size - 1024).orElseThrow())
        .contains("2 pages, but the header says 3");
    Arrays.fill(header.array(), 0, 100, (byte) 0);
    assertThat(DatabaseHeader.incompleteReason(header, size).orElseThrow()).contains("all zeros");
    assertThat(DatabaseHeader.incompleteReason(ByteBuffer.allocate(5), 5).orElseThrow())
        .contains("5 bytes");
    assertThat(DatabaseHeader.incompleteReason(ByteBuffer.allocate(0), 0)).isEmpty();
  }
}

package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SuperJournalTest {

  @TempDir(factory = MemoryDir.class)
  Path dir;

  @ParameterizedTest
  @CsvSource({"NORMAL", "OFF"})
  void aTransactionWhoseSuperJournalIsGoneIsCommitted(String synchronous) throws Exception {
    Path database = Crash.in(dir, 1024, "DELETE", synchronous);
    Path superJournal = dir.resolve("t\u00e4st-mj0A1B2C93F");
    appendSuperJournal(Sqlite.journal(database), superJournal.toString(), 0);
    Path after = Sqlite.copy(database, "after");
    Path ofLibrary = Sqlite.copy(database, "library");

    assertThat(Crash.rollback(database))
        .matches(result -> !result.hot() && result.reason().contains(superJournal.toString()));

    Sqlite.touch(ofLibrary);
    assertThat(Files.mismatch(database, after)).isEqualTo(-1);
    assertThat(Files.mismatch(ofLibrary, after)).isEqualTo(-1);
  }

  @ParameterizedTest
  @CsvSource({"NORMAL", "OFF"})
  void aTransactionWhoseSuperJournalExistsIsRolledBack(String synchronous) throws Exception {
    Path database = Crash.in(dir, 1024, "DELETE", synchronous);
    Path superJournal = dir.resolve("t\u00e4st-mj0A1B2C93F");
    Files.writeString(superJournal, Sqlite.journal(database) + "\0");
    appendSuperJournal(Sqlite.journal(database), superJournal.toString(), 0);

    assertThat(Crash.rollback(database).hot()).isTrue();

    assertThat(Files.mismatch(database, dir.resolve("before"))).isEqualTo(-1);
  }

  @Test
  void aDamagedSuperJournalNameIsNone() throws Exception {
    Path database = Crash.in(dir, 1024, "DELETE", "NORMAL");
    appendSuperJournal(Sqlite.journal(database), dir.resolve("gone-mj0A1B2C93F").toString(), 1);
    Path ofLibrary = Sqlite.copy(database, "library");

    assertThat(Crash.rollback(database).hot()).isTrue();

    Sqlite.touch(ofLibrary);
    assertThat(Files.mismatch(database, dir.resolve("before"))).isEqualTo(-1);
    assertThat(Files.mismatch(ofLibrary, dir.resolve("before"))).isEqualTo(-1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"other", "x-mj0A1B2C83F", "x-mj0A1B2C93", "x-mj0A1B2C93F0", "x-mj0A1B2C9G0"})
  void aNameThatSqliteDoesNotGiveIsNoSuperJournal(String name) throws Exception {
    Path database = Crash.in(dir, 1024, "DELETE", "NORMAL");
    appendSuperJournal(Sqlite.journal(database), dir.resolve(name).toString(), 0);
    Path ofLibrary = Sqlite.copy(database, "library");

    assertThat(Crash.rollback(database).hot()).isTrue();

    Sqlite.touch(ofLibrary);
    assertThat(Files.mismatch(database, ofLibrary)).isEqualTo(-1);
  }

  @Test
  void superJournalNamesOfAbsurdLengthTakeNoMemory() throws Exception {
    Path journal = dir.resolve("journal");
    for (int length : new int[] {-1, Integer.MAX_VALUE, 513, 1000}) {
      ByteBuffer bytes = ByteBuffer.allocate(1024);
      bytes.putInt(1008, length).putLong(1016, JournalHeader.MAGIC);
      Files.write(journal, bytes.array());
      try (ChannelFile file = ChannelFile.open(journal)) {
        assertThat(Journal.superJournal(file)).isEmpty();
      }
    }
  }

  private static void appendSuperJournal(Path journal, String name, int error) throws IOException {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    int sum = error;
    for (byte b : bytes) {
      sum += b;
    }
    ByteBuffer record = ByteBuffer.allocate(20 + bytes.length);
    record.putInt((int) DatabaseHeader.lockPage(1024)).put(bytes).putInt(bytes.length).putInt(sum);
    record.putLong(JournalHeader.MAGIC).flip();
    try (ChannelFile file = ChannelFile.open(journal)) {
      file.write(record, (file.size() + 511) / 512 * 512);
    }
  }
}

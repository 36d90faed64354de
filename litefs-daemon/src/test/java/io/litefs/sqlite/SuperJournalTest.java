package io.litefs.sqlite;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SuperJournalTest {

  @TempDir(factory = MemoryDir.class)
  Path dir;

  @ParameterizedTest
  @CsvSource({"NORMAL, true", "NORMAL, false", "OFF, true", "OFF, false"})
  void aTransactionOverSeveralDatabasesIsRolledBackWhetherItsSuperJournalIsThereOrNot(
      String synchronous, boolean there) throws Exception {
    Path database = Crash.in(dir, 1024, "DELETE", synchronous);
    Path superJournal = dir.resolve("t\u00e4st-mj0A1B2C93F");
    if (there) {
      Files.writeString(superJournal, Sqlite.journal(database) + "\0");
    }
    appendSuperJournal(Sqlite.journal(database), superJournal.toString());

    assertThat(Crash.rollback(database).hot()).isTrue();

    assertThat(Files.mismatch(database, dir.resolve("before"))).isEqualTo(-1);
  }

  private static void appendSuperJournal(Path journal, String name) throws IOException {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    int sum = 0;
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

package io.litefs.store;

import static io.litefs.store.StoreFixture.connect;
import static io.litefs.store.StoreFixture.direct;
import static io.litefs.store.StoreFixture.execute;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.Wal;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Journals of transactions that began on an old state of the database. */
class RollbackJournalTest {

  private static final int PAGE = 4096;

  /** Where SQLite puts the first page of a journal. */
  private static final int RECORD = 512;

  @TempDir Path temp;
  private StoreFixture fixture;
  private Path original;

  @BeforeEach
  void makeADatabase() throws Exception {
    fixture = new StoreFixture(temp.resolve("data"));
    original = temp.resolve("original.db");
    execute(original, "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)");
  }

  @AfterEach
  void close() throws Exception {
    fixture.close();
  }

  private Database imported() throws Exception {
    fixture.importFile("a.db", original);
    return fixture.store.find("a.db");
  }

  private byte[] pageOne() throws Exception {
    return ByteBuffer.allocate(PAGE).put(Files.readAllBytes(original), 0, PAGE).array();
  }

  /** As SQLite writes the old content of page 1: its number, the page. */
  private static void keep(Database database, byte[] page) throws Exception {
    BackingFile journal = database.acquire(FileKind.JOURNAL, true);
    try {
      database.journal().write(journal, direct(new byte[] {0, 0, 0, 1}, 0, 4), RECORD);
      database.journal().write(journal, direct(page, 0, PAGE), RECORD + 4);
    } finally {
      journal.release();
    }
  }

  private static void assertRefused(Database database, byte[] page) {
    assertThatThrownBy(() -> keep(database, page))
        .isInstanceOfSatisfying(
            ErrnoException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO))
        .hasMessageContaining("did not see the last ones");
  }

  @Test
  void pageOneAsItIsMayBeKept() throws Exception {
    Database database = imported();
    assertThatCode(() -> keep(database, pageOne())).doesNotThrowAnyException();
  }

  @Test
  void pageOneAsItWasMayNot() throws Exception {
    byte[] old = pageOne();
    execute(original, "INSERT INTO t(b) VALUES (randomblob(9000))");
    assertRefused(imported(), old);
  }

  @Test
  void encryptedPagesMayDiffer() throws Exception {
    byte[] encrypted = Files.readAllBytes(original);
    encrypted[75] = 42; // SQLite leaves these bytes 0
    Files.write(original, encrypted);
    Database database = imported();
    encrypted[2000] ^= 1;
    assertThatCode(() -> keep(database, encrypted)).doesNotThrowAnyException();
  }

  @Test
  void whileTheWalHasATransactionNoOtherBeginsWithoutIt() throws Exception {
    execute(original, "PRAGMA journal_mode = WAL");
    Database database = imported();
    BackingFile wal = database.acquire(FileKind.WAL, true);
    try (Connection connection = connect(original)) {
      execute(connection, "INSERT INTO t(b) VALUES (1)");
      byte[] frames = Files.readAllBytes(temp.resolve("original.db-wal"));
      database.wal().write(wal, direct(frames, 0, Wal.HEADER_SIZE), 0);
      database.wal().write(wal, direct(frames, Wal.HEADER_SIZE, frames.length), Wal.HEADER_SIZE);
    } finally {
      wal.release();
    }
    byte[] present = ByteBuffer.allocate(PAGE).put(fixture.export("a.db"), 0, PAGE).array();
    assertRefused(database, present);

    BackingFile journal = database.acquire(FileKind.JOURNAL, true);
    database.journal().write(journal, direct(new byte[28], 0, 28), 0); // it gives up
    journal.release();
    database.wal().unlink();
    assertThatCode(() -> keep(database, fixture.export("a.db"))).doesNotThrowAnyException();
  }
}

package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.fuse.Keepers;
import io.litefs.ltx.Pos;
import io.litefs.sqlite.SqliteShell;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the end of this node's lease means to the holder of a halt lock. */
class HaltLockTest {

  private static final String DB = "a.db";
  private static final long HOLDER = 7;

  @TempDir Path dir;

  private Keepers keepers;
  private StoreFixture primary;
  private Path mounted;
  private Pos before;

  /** The second transaction, made elsewhere. */
  private byte[] transaction;

  /** How often this node still finds that it leads. */
  private long answers = Long.MAX_VALUE;

  @BeforeEach
  void start() throws Exception {
    Path source = dir.resolve("source.db");
    StoreFixture.execute(source, "CREATE TABLE t(a)", "INSERT INTO t VALUES (1)");
    keepers = Keepers.start();
    mounted = Files.createDirectory(dir.resolve("mount")).resolve(DB);
    primary = new StoreFixture(dir.resolve("data"), keepers, mounted.getParent());
    primary.store.becomePrimary(() -> answers-- > 0);
    primary.importFile(DB, source);
    Files.createLink(mounted, primary.file(DB, "database"));
    before = primary.store.find(DB).pos();
    transaction = transactionOnTopOf(source);
  }

  @AfterEach
  void stop() {
    primary.close();
    keepers.close();
  }

  private byte[] transactionOnTopOf(Path source) throws Exception {
    try (StoreFixture holder = new StoreFixture(dir.resolve("holder"))) {
      holder.importFile(DB, source);
      StoreFixture.execute(source, "INSERT INTO t VALUES (2)");
      holder.overwrite(DB, source);
      Path log = holder.store.find(DB).log().lastFile();
      assertThat(log.getFileName()).hasToString("0000000000000002-0000000000000002.ltx");
      return Files.readAllBytes(log);
    }
  }

  private void apply() throws IOException {
    primary.store.haltLocks().apply(DB, HOLDER, new ByteArrayInputStream(transaction));
  }

  private void acquire() throws Exception {
    primary.store.haltLocks().acquire(DB, HOLDER);
  }

  private static void assertEnded(ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            HaltRefusedException.class,
            e ->
                assertThat(e.reason())
                    .as(e.getMessage())
                    .isEqualTo(HaltRefusedException.Reason.NOT_PRIMARY));
  }

  private void assertUnchanged() throws IOException {
    assertThat(primary.store.find(DB).pos()).isEqualTo(before);
    assertThat(primary.store.find(DB).log().end()).isEqualTo(before);
  }

  @Test
  void itsTransactionsAreCommitted() throws Exception {
    acquire();
    apply();
    assertThat(primary.store.find(DB).pos().txid()).isEqualTo(before.txid().next());
  }

  @Test
  void aTransactionThatComesAfterTheEndIsRefusedWithoutATrace() throws Exception {
    acquire();
    answers = 0;
    assertEnded(this::apply);
    assertUnchanged();
  }

  @Test
  void theEndEndsTheWaitForReaders() throws Exception {
    acquire();
    try (SqliteShell reader = SqliteShell.open(mounted)) {
      reader.run("BEGIN; SELECT * FROM t;");
      answers = 1;
      assertEnded(this::apply);
    }
    assertUnchanged();
  }

  /** The role would end only after it. */
  @Test
  void theEndEndsTheWaitForAWriter() throws Exception {
    try (SqliteShell writer = SqliteShell.open(mounted)) {
      writer.run("BEGIN IMMEDIATE;");
      answers = 1;
      assertEnded(this::acquire);
    }
    answers = Long.MAX_VALUE;
    acquire();
  }

  @Test
  void aLockThatWasHadJustThenIsNotGiven() throws Exception {
    answers = 1;
    assertEnded(this::acquire);
    try (SqliteShell writer = SqliteShell.open(mounted)) {
      assertThat(writer.run("BEGIN IMMEDIATE; SELECT 'written';")).contains("written");
    }
  }

  /** Nobody else would, and the holder's transactions are put on top of what the log says. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whatADeadWriterLeftIsRolledBackBeforeItIsGiven(boolean logged) throws Exception {
    Database database = primary.store.find(DB);
    byte[] content = primary.export(DB);
    Path copy = Files.copy(mounted, dir.resolve("copy.db"));
    StoreFixture.writeUnderAJournal(database, copy, "UPDATE t SET a = 3");
    if (logged) {
      primary.store.synchronizeCommits(new FakeReplicas());
      assertThatThrownBy(database.journal()::unlink).hasMessageContaining("too few replicas");
    }
    acquire();
    assertThat(primary.file(DB, "journal")).doesNotExist();
    assertThat(database.pos().txid().value()).isEqualTo(logged ? 3 : 1);
    assertThat(database.pos().checksum()).isEqualTo(before.checksum());
    assertThat(primary.export(DB)).isEqualTo(content);
    assertThat(database.differsFromLog()).isFalse();
  }

  /** Whoever leads next may have asked this node before it had the transaction. */
  @Test
  void aTransactionDuringWhichItEndsIsNotAcknowledged() throws Exception {
    acquire();
    answers = 2;
    assertEnded(this::apply);
    assertThat(primary.store.find(DB).pos().txid()).isEqualTo(before.txid().next());
  }

  @Test
  void aTransactionThatComesAgainIsAcknowledgedAgainWithoutTheLock() throws Exception {
    acquire();
    apply();
    primary.store.haltLocks().release(DB, HOLDER);
    apply();
    assertThat(primary.store.find(DB).pos().txid()).isEqualTo(before.txid().next());
  }

  @Test
  void aTransactionThatComesAgainAfterTheEndIsNotAcknowledged() throws Exception {
    acquire();
    apply();
    answers = 0;
    assertEnded(this::apply);
  }
}

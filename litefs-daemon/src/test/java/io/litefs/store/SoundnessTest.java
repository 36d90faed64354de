package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Pos;
import io.litefs.posix.PosixFile;
import io.litefs.replication.ChangeSource.LtxFile;
import io.litefs.replication.WithheldException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A database whose pages the disk has changed after the start. */
@Timeout(60)
class SoundnessTest {

  private static final String DB = "a.db";
  private static final int PAGE = 4096;

  @TempDir Path temp;
  private StoreFixture node;
  private Path source;

  @BeforeEach
  void damageADatabase() throws Exception {
    node = new StoreFixture(temp.resolve("node"));
    source = temp.resolve("source.db");
    StoreFixture.execute(
        source,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
            + " INSERT INTO t SELECT i, randomblob(1000) FROM n");
    node.importFile(DB, source);
    // The first transaction of all is a snapshot as it lies in the log.
    overwriteWithMore();
    try (FileChannel file = FileChannel.open(node.file(DB, "database"), StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.wrap("damage".getBytes()), PAGE * 4);
      // Not the same change to the same bytes: the checksums of two such pages cancel out.
      file.write(ByteBuffer.wrap("damaged too".getBytes()), PAGE * 7);
    }
  }

  @AfterEach
  void close() {
    node.close();
  }

  private void overwriteWithMore() throws Exception {
    StoreFixture.execute(source, "INSERT INTO t(b) VALUES (randomblob(1000))");
    node.overwrite(DB, source);
  }

  private Database database() {
    return node.store.find(DB);
  }

  /** What was found is counted by another thread. */
  private void awaitCounted(long pages) {
    Database database = database();
    while (database.metrics().damagedPages.sum() < pages) {
      Thread.onSpinWait();
    }
  }

  @Test
  void noSnapshotIsMadeOfItAndItsPagesAreCountedOnce() throws Exception {
    Pos pos = database().pos();
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() -> node.store.snapshot(DB))
          .isInstanceOf(WithheldException.class)
          .hasMessageContainingAll(
              "a.db is damaged",
              "not that of position " + pos,
              "'litefs verify a.db'",
              "'litefs promote'",
              "'litefs import -name a.db FILE'");
    }
    assertThat(node.store.isDamaged(DB)).isTrue();
    awaitCounted(2);
    assertThat(node.store.position(DB)).isEqualTo(pos);
    assertThat(node.file(DB, "").toFile().list((dir, name) -> name.endsWith(".tmp"))).isEmpty();
  }

  @Test
  void noExportIsMadeOfItUnlessItIsWantedAsItIs() throws Exception {
    assertThatThrownBy(() -> node.export(DB))
        .isInstanceOf(WithheldException.class)
        .hasMessageContainingAll("a.db is damaged", "'litefs verify a.db'");
    assertThat(node.store.isDamaged(DB)).isTrue();
    try (Export export = node.store.export(DB, true)) {
      assertThat(export.stream().readAllBytes())
          .isEqualTo(Files.readAllBytes(node.file(DB, "database")));
    }
  }

  @Test
  void aPageThatCannotBeReadConcernsThisDatabaseOnly() throws Exception {
    StoreFixture.Kernel.reopen(database(), PosixFile.O_WRONLY);
    assertThatThrownBy(() -> node.store.snapshot(DB))
        .isInstanceOf(WithheldException.class)
        .hasMessageContaining("page 1 cannot be read");
  }

  @Test
  void whatReplacesItIsSound() throws Exception {
    assertThatThrownBy(() -> node.store.snapshot(DB)).isInstanceOf(WithheldException.class);
    overwriteWithMore();
    try (LtxFile snapshot = node.store.snapshot(DB)) {
      assertThat(snapshot.pos()).isEqualTo(database().pos());
    }
    assertThat(node.store.isDamaged(DB)).isFalse();
  }

  @Test
  void eachDamagedPageIsCountedOnceUntilTheDatabaseWasSound() throws Exception {
    ExecutorService verification = Executors.newSingleThreadExecutor();
    Soundness soundness = new Soundness(() -> true, verification);
    soundness.count(database(), "after an unclean stop");
    assertThat(database().metrics().damagedPages.sum()).isEqualTo(2);
    soundness.damaged(database(), "a reason");
    soundness.damaged(database(), "a reason");
    verification.shutdown();
    assertThat(verification.awaitTermination(1, TimeUnit.MINUTES)).isTrue();
    assertThat(database().metrics().damagedPages.sum()).isEqualTo(2);
    soundness.sound(DB);
    soundness.count(database(), "after an unclean stop");
    assertThat(database().metrics().damagedPages.sum()).isEqualTo(4);
  }

  @Test
  void aReplicaIsToldToFetchItAnew() {
    node.store.becomeReplica(true);
    assertThatThrownBy(() -> node.store.snapshot(DB))
        .hasMessageContaining("stop litefs and move " + node.dir.resolve("dbs").resolve(DB));
  }
}

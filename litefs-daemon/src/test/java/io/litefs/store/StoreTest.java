package io.litefs.store;

import static io.litefs.store.StoreFixture.direct;
import static io.litefs.store.StoreFixture.execute;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.fuse.Keepers;
import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.io.ByteArrayInputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Databases that arrive, change and go by plain file operations, import and replication, without a
 * mount.
 */
class StoreTest {

  @TempDir Path temp;
  private Keepers keepers;
  private StoreFixture primary;
  private Path source;
  private byte[] content;

  @BeforeEach
  void makeADatabase() throws Exception {
    keepers = Keepers.start();
    primary = new StoreFixture(temp.resolve("primary"), keepers, temp.resolve("no-mount"));
    source = temp.resolve("source.db");
    execute(source, "CREATE TABLE t(b BLOB)", "INSERT INTO t VALUES (randomblob(50000))");
    content = Files.readAllBytes(source);
  }

  @AfterEach
  void close() {
    primary.close();
    keepers.close();
  }

  private Database arrive(String name, byte[] bytes, int pieces) throws Exception {
    Database database = primary.store.findOrCreate(name);
    BackingFile file = database.acquire(FileKind.DATABASE, true);
    try {
      for (int at = 0; at < bytes.length; at += pieces) {
        database.writeDatabase(file, direct(bytes, at, Math.min(bytes.length, at + pieces)), at);
      }
      database.closedAfterWriting(file, false);
    } finally {
      try {
        database.closedAfterWriting(file, true);
      } finally {
        file.release();
      }
    }
    return database;
  }

  @Test
  void databaseThatArrivesInPiecesIsOneTransaction() throws Exception {
    Database database = arrive("a.db", content, 1000);
    assertThat(database.pos().txid()).isEqualTo(new Txid(1));
    assertThat(primary.export("a.db")).isEqualTo(content);
  }

  private static boolean await(CountDownLatch latch) {
    try {
      latch.await();
      return true;
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void commitsThatTheLeaseHasLetPassAreWaitedFor() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch answered = new CountDownLatch(1);
    primary.store.becomePrimary(
        () -> {
          asked.countDown();
          return await(answered);
        });
    FutureTask<Database> arrival = new FutureTask<>(() -> arrive("a.db", content, 4096));
    new Thread(arrival).start();
    asked.await();
    try {
      assertThatThrownBy(() -> primary.store.awaitCommits(Duration.ofMillis(1)))
          .isInstanceOf(StoreException.class)
          .hasMessageContaining("a.db");
    } finally {
      answered.countDown();
    }
    primary.store.awaitCommits(Duration.ofMinutes(1));
    assertThat(primary.store.databases()).containsExactly("a.db");
    arrival.get();
  }

  @Test
  void fileThatIsNoDatabaseIsRefusedWhenItIsClosed() {
    assertThatThrownBy(() -> arrive("a.txt", new byte[5000], 1000))
        .isInstanceOf(ErrnoException.class)
        .extracting(e -> ((ErrnoException) e).errno())
        .isEqualTo(Errno.EIO);
    assertThat(primary.store.find("a.txt")).isNull();
    assertThat(primary.file("a.txt", "")).doesNotExist();
  }

  @Test
  void truncatedDatabaseIsRefusedWhenItIsClosed() {
    assertThatThrownBy(() -> arrive("a.db", java.util.Arrays.copyOf(content, 4096), 4096))
        .isInstanceOf(ErrnoException.class);
    assertThat(primary.store.find("a.db")).isNull();
  }

  @Test
  void previousDatabaseIsUntouchedWhenWhatArrivesInItsPlaceIsNone() throws Exception {
    Database database = arrive("a.db", content, 4096);
    Pos before = database.pos();
    BackingFile file = database.acquire(FileKind.DATABASE, false);
    database.truncateDatabase(file, 0);
    database.writeDatabase(file, direct(new byte[5000], 0, 5000), 0);
    assertThatThrownBy(() -> database.closedAfterWriting(file, false))
        .isInstanceOf(ErrnoException.class);
    assertThatThrownBy(() -> database.closedAfterWriting(file, true))
        .isInstanceOf(ErrnoException.class);
    file.release();
    assertThat(database.pos()).isEqualTo(before);
    assertThat(primary.export("a.db")).isEqualTo(content);
  }

  @Test
  void previousDatabaseComesBackAfterACrashInTheMiddleOfAnArrival() throws Exception {
    Database database = arrive("a.db", content, 4096);
    Pos before = database.pos();
    BackingFile file = database.acquire(FileKind.DATABASE, false);
    database.truncateDatabase(file, 0);
    database.writeDatabase(file, direct(new byte[5000], 0, 5000), 0);
    file.release();
    primary.close();
    primary.open();
    assertThat(primary.store.find("a.db").pos()).isEqualTo(before);
    assertThat(primary.export("a.db")).isEqualTo(content);
  }

  @Test
  void anotherDatabaseInItsPlaceIsTheNextTransaction() throws Exception {
    Database database = arrive("a.db", content, 4096);
    Path other = temp.resolve("other.db");
    execute(other, "PRAGMA page_size=1024", "CREATE TABLE other(x)");
    byte[] next = Files.readAllBytes(other);
    BackingFile file = database.acquire(FileKind.DATABASE, false);
    database.truncateDatabase(file, 0);
    database.writeDatabase(file, direct(next, 0, next.length), 0);
    database.closedAfterWriting(file, false);
    file.release();
    assertThat(database.pos().txid()).isEqualTo(new Txid(2));
    assertThat(database.pageSize()).isEqualTo(1024);
    assertThat(primary.export("a.db")).isEqualTo(next);
  }

  @Test
  void dropIsATransactionAndARecreatedDatabaseGoesOnCounting() throws Exception {
    Database database = arrive("a.db", content, 4096);
    database.drop();
    assertThat(database.pos()).isEqualTo(new Pos(new Txid(2), Checksum.EMPTY_DATABASE));
    assertThat(primary.store.export("a.db", false)).isNull();
    assertThat(arrive("a.db", content, 4096).pos().txid()).isEqualTo(new Txid(3));
  }

  @Test
  void dropOfADatabaseThatWasNeverWrittenLeavesNothing() throws Exception {
    Database database = primary.store.findOrCreate("a.db");
    database.acquire(FileKind.DATABASE, true).release();
    database.drop();
    assertThat(primary.store.find("a.db")).isNull();
    assertThat(primary.file("a.db", "")).doesNotExist();
  }

  /** Nobody would roll them back, so too few replicas must not leave them half done. */
  @Test
  void whatIsNoTransactionOfSqlitesWaitsForReplicasAndStays() throws Exception {
    FakeReplicas replicas = new FakeReplicas();
    replicas.inSync = false;
    primary.store.synchronizeCommits(replicas);
    Database database = arrive("a.db", content, 4096);
    execute(source, "INSERT INTO t VALUES (randomblob(5000))");
    primary.overwrite("a.db", source);
    assertThat(database.isMidTransaction()).isFalse();
    primary.store.rename("a.db", "b.db");
    assertThat(primary.export("b.db")).isEqualTo(Files.readAllBytes(source));
    primary.store.find("b.db").drop();
    primary.importFile("c.db", source);
    assertThat(replicas.irrevocable)
        .containsExactly("a.db 1", "a.db 2", "b.db 1", "a.db 3", "b.db 2", "c.db 1");
  }

  @Test
  void eachTransactionIsPacedBeforeItIsInTheLog() throws Exception {
    Database database = arrive("a.db", content, 4096);
    List<String> paced = new ArrayList<>();
    primary.store.pace(
        (name, last) -> paced.add(name + " " + last.value() + " " + database.log().fileCount()));
    for (int i = 0; i < 2; i++) {
      execute(source, "INSERT INTO t VALUES (randomblob(5000))");
      primary.overwrite("a.db", source);
    }
    primary.store.pace(CommitPace.FREE);
    execute(source, "INSERT INTO t VALUES (randomblob(5000))");
    primary.overwrite("a.db", source);
    assertThat(paced).containsExactly("a.db 1 1", "a.db 2 2");
    assertThat(database.pos().txid()).isEqualTo(new Txid(4));
  }

  @Test
  void renameIsCreationAndDrop() throws Exception {
    arrive("a.db", content, 4096);
    primary.store.rename("a.db", "b.db");
    assertThat(primary.store.find("a.db").pos().checksum()).isEqualTo(Checksum.EMPTY_DATABASE);
    assertThat(primary.store.find("b.db").pos().txid()).isEqualTo(new Txid(1));
    assertThat(primary.export("b.db")).isEqualTo(content);
  }

  @Test
  void secondDaemonOnTheSameDataDirectoryIsRefused() {
    assertThatThrownBy(() -> new StoreFixture(primary.dir))
        .isInstanceOf(StoreException.class)
        .hasMessageContaining("in use by another litefs");
  }

  @Test
  void replicaRefusesWrites() throws Exception {
    Database database = arrive("a.db", content, 4096);
    primary.store.becomeReplica(true);
    BackingFile file = database.acquire(FileKind.DATABASE, false);
    assertThatThrownBy(() -> database.writeDatabase(file, direct(content, 0, 4096), 0))
        .extracting(e -> ((ErrnoException) e).errno())
        .isEqualTo(Errno.EROFS);
    file.release();
  }

  /** With any other errno SQLite says that it cannot open the database. */
  @Test
  void aJournalIsRefusedWithTheErrnoThatSqliteTakesForAReadonlyDatabase() throws Exception {
    Database database = arrive("a.db", content, 4096);
    database.journal().requireMayBegin();
    primary.store.becomePrimary(() -> false); // a lease that has ended
    assertRefusesJournals(database);
    primary.store.becomeReplica(true);
    assertRefusesJournals(database);
  }

  private static void assertRefusesJournals(Database database) {
    assertThatThrownBy(database.journal()::requireMayBegin)
        .isInstanceOf(ErrnoException.class)
        .extracting(e -> ((ErrnoException) e).errno())
        .isEqualTo(Errno.EACCES);
  }

  @Test
  void databaseWithoutALogIsTakenIn() throws Exception {
    primary.close();
    Files.createDirectories(primary.file("by-hand.db", ""));
    Files.copy(source, primary.file("by-hand.db", "database"));
    primary.open();
    assertThat(primary.store.find("by-hand.db").pos().txid()).isEqualTo(new Txid(1));
    assertThat(primary.export("by-hand.db")).isEqualTo(content);
  }

  @Test
  void databaseThatCannotBeRecoveredIsKeptAsideAndTheOthersWork() throws Exception {
    arrive("good.db", content, 4096);
    Database bad = arrive("bad.db", content, 4096);
    arrive("bad.db", content, 4096);
    Path file = primary.file("bad.db", "database");
    assertThat(bad.pos().txid()).isEqualTo(new Txid(1));
    primary.close();
    // A page that no file of the log holds differs: the log's only file is replaced by one that has
    // no pages.
    Files.delete(primary.file("bad.db", "ltx/0000000000000001-0000000000000001.ltx"));
    LtxLog log = LtxLog.open(primary.file("bad.db", "ltx"), false, Runnable::run);
    LtxLog.Writer writer =
        log.begin(
            new io.litefs.ltx.LtxHeader(
                false,
                4096,
                content.length / 4096,
                new Txid(2),
                new Txid(2),
                1,
                new Checksum(1L << 63 | 5),
                0,
                0,
                0,
                0,
                1));
    writer.page(1, ByteBuffer.wrap(content, 0, 4096));
    writer.finish(new Checksum(1L << 63 | 6));
    writer.append();
    log.close();
    primary.open();
    assertThat(primary.store.find("bad.db")).isNull();
    assertThat(file).doesNotExist();
    assertThat(primary.dir.resolve("quarantine")).isDirectoryContaining("glob:**bad.db-*");
    assertThat(primary.export("good.db")).isEqualTo(content);
  }

  @Test
  void replicaEndsByteIdenticalWithTheSamePosition() throws Exception {
    List<Integer> pageSizes = new ArrayList<>();
    try (StoreFixture replica = new StoreFixture(temp.resolve("replica"))) {
      replica.store.becomeReplica(false);
      ReplicaSink sink = (ReplicaSink) replica.store.replicaSink(ReplicaListener.NOBODY);
      Database database = arrive("a.db", content, 4096);
      try (io.litefs.replication.ChangeSource.LtxFile file = primary.store.snapshot("a.db")) {
        sink.ltx("a.db", Channels.newInputStream(channel(file)));
      }
      pageSizes.add(replica.store.find("a.db").pageSize());
      assertThat(replica.store.position("a.db")).isEqualTo(database.pos());
      assertThat(replica.export("a.db")).isEqualTo(content);
      sink.close();
    }
    assertThat(pageSizes).containsExactly(4096);
  }

  @Test
  void replicaRefusesATransactionThatDoesNotFollow() throws Exception {
    try (StoreFixture replica = new StoreFixture(temp.resolve("replica"))) {
      replica.store.becomeReplica(false);
      ReplicaSink sink = (ReplicaSink) replica.store.replicaSink(ReplicaListener.NOBODY);
      Database database = arrive("a.db", content, 4096);
      database.drop();
      try (io.litefs.replication.ChangeSource.LtxFile file =
          primary.store.next("a.db", posAfterFirst())) {
        assertThatThrownBy(() -> sink.ltx("a.db", Channels.newInputStream(channel(file))))
            .isInstanceOf(StoreException.class);
      }
      assertThat(replica.store.find("a.db").pos()).isEqualTo(Pos.ZERO);
      sink.close();
    }
  }

  @Test
  void truncatedTransactionChangesNothing() throws Exception {
    try (StoreFixture replica = new StoreFixture(temp.resolve("replica"))) {
      replica.store.becomeReplica(false);
      ReplicaSink sink = (ReplicaSink) replica.store.replicaSink(ReplicaListener.NOBODY);
      arrive("a.db", content, 4096);
      byte[] bytes =
          Files.readAllBytes(primary.file("a.db", "ltx/0000000000000001-0000000000000001.ltx"));
      assertThatThrownBy(
              () -> sink.ltx("a.db", new ByteArrayInputStream(bytes, 0, bytes.length / 2)))
          .isInstanceOf(io.litefs.ltx.LtxException.class);
      assertThat(replica.store.find("a.db").pos()).isEqualTo(Pos.ZERO);
      assertThat(replica.file("a.db", "ltx")).isEmptyDirectory();
      sink.ltx("a.db", new ByteArrayInputStream(bytes));
      assertThat(replica.export("a.db")).isEqualTo(content);
      sink.close();
    }
  }

  @Test
  void waitersWakeAtTheirTransaction() throws Exception {
    Database database = arrive("a.db", content, 4096);
    assertThat(database.awaitTxid(new Txid(1), Duration.ZERO)).isTrue();
    assertThat(database.awaitTxid(new Txid(2), Duration.ofMillis(1))).isFalse();
  }

  private Pos posAfterFirst() throws Exception {
    return LtxLog.posAfter(primary.file("a.db", "ltx/0000000000000001-0000000000000001.ltx"));
  }

  private static java.nio.channels.ReadableByteChannel channel(
      io.litefs.replication.ChangeSource.LtxFile file) {
    return new java.nio.channels.ReadableByteChannel() {
      @Override
      public int read(ByteBuffer into) throws java.io.IOException {
        return file.read(into);
      }

      @Override
      public boolean isOpen() {
        return true;
      }

      @Override
      public void close() {}
    };
  }
}

package io.litefs.store;

import static io.litefs.posix.PosixFile.O_RDONLY;
import static io.litefs.posix.PosixFile.O_RDWR;
import static io.litefs.store.ModelPrimary.direct;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.fuse.KeeperFile;
import io.litefs.fuse.Keepers;
import io.litefs.fuse.LockType;
import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.replication.ChangeSink;
import io.litefs.sqlite.LockBytes;
import io.litefs.sqlite.SqliteShell;
import io.litefs.sqlite.Wal;
import io.litefs.sqlite.WalEncoder;
import io.litefs.sqlite.WalHeader;
import io.litefs.sqlite.WalIndex;
import io.litefs.sqlite.WalIndexHeader;
import io.litefs.sqlite.WalPosition;
import io.litefs.sqlite.WalScanner;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A replica's WAL under connections of SQLite in other processes. There is no mount: the files that
 * it would show are links to those of the data directory.
 */
class ReplicaWalTest {

  private static final int PAGE_SIZE = 1024;
  private static final String DB = "a.db";

  @TempDir Path dir;

  private Keepers keepers;
  private StoreFixture fixture;
  private ChangeSink sink;
  private Path model;
  private Path mounted;
  private ModelPrimary primary;
  private final StoreFixture.Kernel kernel = new StoreFixture.Kernel();

  @BeforeEach
  void startAReplica() throws Exception {
    keepers = Keepers.start();
    Path mount = Files.createDirectory(dir.resolve("mount"));
    model = dir.resolve("model");
    primary = new ModelPrimary(model, PAGE_SIZE);
    mounted = mount.resolve(DB);
    fixture = new StoreFixture(dir.resolve("data"), kernel, keepers, mount);
    fixture.store.becomeReplica(true);
    sink = fixture.store.replicaSink(ReplicaListener.NOBODY);
    onPrimary(
        "PRAGMA page_size = " + PAGE_SIZE,
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b)",
        "INSERT INTO t VALUES (1, 'one')");
    for (String suffix : new String[] {"", "-wal", "-shm"}) {
      Path file = fixture.file(DB, suffix.isEmpty() ? "database" : suffix.substring(1));
      if (!Files.exists(file)) {
        Files.createFile(file);
      }
      Files.createLink(mount.resolve(DB + suffix), file);
    }
  }

  @AfterEach
  void stop() throws IOException {
    ((ReplicaSink) sink).close();
    fixture.close();
    keepers.close();
  }

  private Database database() {
    return fixture.store.find(DB);
  }

  /** Makes one transaction of the statements and lets the replica receive it. */
  private void onPrimary(String... statements) throws SQLException, IOException {
    sink.ltx(DB, new ByteArrayInputStream(primary.transaction(statements)));
    awaitPosition();
  }

  /** On a busy machine a lock may take longer than the stream's thread waits for it. */
  private void awaitPosition() throws IOException {
    try {
      assertThat(database().awaitTxid(primary.pos.txid(), Duration.ofMinutes(1))).isTrue();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
    assertThat(database().pos()).isEqualTo(primary.pos);
  }

  private ByteBuffer index() throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(fixture.file(DB, "shm")));
  }

  private WalIndexHeader indexHeader() throws IOException {
    return WalIndex.readHeader(index()).orElseThrow();
  }

  private WalHeader walHeader() throws IOException {
    return WalHeader.parse(ByteBuffer.wrap(Files.readAllBytes(fixture.file(DB, "wal"))));
  }

  /** Where SQLite's recovery would find the end of the log. */
  private WalPosition endOfLog() throws IOException {
    try (PosixFile wal = PosixFile.open(fixture.file(DB, "wal"), O_RDONLY, 0)) {
      WalHeader header = walHeader();
      WalScanner scanner = new WalScanner(header);
      scanner.begin(wal::preadMost, header.start());
      while (scanner.next()) {
        // To the last valid frame.
      }
      return scanner.committed();
    }
  }

  private String value(int id) {
    return "SELECT b FROM t WHERE id = " + id + ";";
  }

  @Test
  void anOpenReaderKeepsItsSnapshotThroughCheckpointsAndNewReadersSeeTheNewest() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    try (SqliteShell open = SqliteShell.open(mounted);
        SqliteShell fresh = SqliteShell.open(mounted)) {
      assertThat(open.run("BEGIN; SELECT count(*) FROM t;")).isEqualTo("2");
      for (int i = 3; i < 60; i++) {
        onPrimary("INSERT INTO t VALUES (" + i + ", randomblob(3000))");
        assertThat(fresh.run("SELECT count(*), max(id) FROM t;")).isEqualTo((i) + "|" + i);
        assertThat(open.run("SELECT count(*) FROM t;")).isEqualTo("2");
      }
      assertThat(open.run("PRAGMA integrity_check;")).isEqualTo("ok");
      assertThat(open.run("COMMIT; SELECT count(*) FROM t; PRAGMA integrity_check;"))
          .isEqualTo("59\nok");
    }
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
    assertThat(database().wal().isApplied()).isTrue();
  }

  /** Whether all of the WAL is in the database file. */
  private boolean isCheckpointed() {
    try {
      ByteBuffer index = index();
      long backfilled = WalIndex.readCheckpointInfo(index).backfilled();
      return WalIndex.readHeader(index).filter(h -> h.maxFrame() == backfilled).isPresent();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void aReplicaThatHasOnlyPreparedToLeadGoesOnCheckpointing() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    fixture.store.prepareToLead();
    CountDownLatch checkpointed = new CountDownLatch(1);
    kernel.stored =
        name -> {
          if (isCheckpointed()) {
            checkpointed.countDown();
          }
        };
    onPrimary("INSERT INTO t VALUES (3, 'three')");
    assertThat(checkpointed.await(30, TimeUnit.SECONDS)).isTrue();
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  @Test
  void noApplicationBecomesTheWriterNorCheckpoints() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    byte[] before = Files.readAllBytes(fixture.file(DB, "wal"));
    try (SqliteShell shell = SqliteShell.open(mounted)) {
      assertThat(shell.run("BEGIN IMMEDIATE;")).contains("database is locked");
      assertThat(shell.run("INSERT INTO t VALUES (9, 'nine');")).contains("database is locked");
      assertThat(shell.run("PRAGMA wal_checkpoint(TRUNCATE);")).startsWith("1|");
      assertThat(shell.run("PRAGMA journal_mode = DELETE;")).contains("locked");
      assertThat(shell.run("SELECT count(*) FROM t;")).isEqualTo("2");
    }
    assertThat(Files.readAllBytes(fixture.file(DB, "wal"))).isEqualTo(before);
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  @Test
  void aPageOfTheIndexThatIsWrittenBackLateTakesNothingFromUs() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    byte[] old = Files.readAllBytes(fixture.file(DB, "shm"));
    onPrimary("INSERT INTO t VALUES (3, 'three')");
    byte[] current = Files.readAllBytes(fixture.file(DB, "shm"));
    assertThat(old).isNotEqualTo(current);

    old[WalIndex.READ_MARKS + 4] = 42;
    database().wal().writeIndex(database().file(FileKind.SHM), direct(Arrays.copyOf(old, 4096)), 0);
    database()
        .wal()
        .writeIndex(
            database().file(FileKind.SHM), direct(Arrays.copyOfRange(old, 16384, 20480)), 16384);

    current[WalIndex.READ_MARKS + 4] = 42;
    assertThat(Files.readAllBytes(fixture.file(DB, "shm"))).isEqualTo(current);
  }

  @Test
  void applicationsGoOnWithTheWalOfAPromotedReplica() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    try (SqliteShell open = SqliteShell.open(mounted);
        SqliteShell other = SqliteShell.open(mounted)) {
      assertThat(open.run(value(2))).isEqualTo("two");
      onPrimary("UPDATE t SET b = 'zwei' WHERE id = 2");
      ((ReplicaSink) sink).close();

      assertThat(database().wal().isApplied()).isFalse();
      assertThat(database().wal().capture().header()).isEqualTo(walHeader());
      assertThat(database().wal().capture().end()).isEqualTo(endOfLog());
      long before = indexHeader().maxFrame();
      assertThat(before).isPositive();
      WalHeader log = walHeader();
      assertThat(open.run("INSERT INTO t VALUES (3, 'three');" + value(2))).isEqualTo("zwei");
      assertThat(other.run(value(3) + "PRAGMA integrity_check;")).isEqualTo("three\nok");
      assertThat(walHeader()).as("the same log goes on").isEqualTo(log);
      assertThat(indexHeader().maxFrame()).isGreaterThan(before);
      assertThat(other.run("PRAGMA wal_checkpoint(TRUNCATE);" + value(2) + value(3)))
          .isEqualTo("0|0|0\nzwei\nthree");
    }
  }

  private enum LeftBehind {
    AS_IT_IS,
    COMMIT_NOT_PUBLISHED,
    INVALID_HEADER,
    RESTARTED
  }

  @ParameterizedTest
  @EnumSource(LeftBehind.class)
  void theWalOfADemotedPrimaryIsTakenOverUnderItsReaders(LeftBehind state) throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    ((ReplicaSink) sink).close();
    try (SqliteShell writer = SqliteShell.open(mounted);
        SqliteShell reader = SqliteShell.open(mounted);
        SqliteShell later = SqliteShell.open(mounted)) {
      writer.run("PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (3, 'three');");
      // A block of the index is full, and one has begun.
      writer.run(
          "INSERT INTO t SELECT value + 100, randomblob(900) FROM generate_series(1, 4500);");
      writer.run("CREATE TABLE last(v);");
      byte[] header = Arrays.copyOf(Files.readAllBytes(fixture.file(DB, "shm")), 96);
      assertThat(reader.run("BEGIN; SELECT count(*) FROM t;")).isEqualTo("4503");
      writer.run("INSERT INTO t VALUES (4, 'four');");
      if (state == LeftBehind.RESTARTED) {
        reader.run("COMMIT;");
        assertThat(writer.run("PRAGMA wal_checkpoint(RESTART);")).startsWith("0|");
        assertThat(reader.run("BEGIN; SELECT count(*) FROM t;")).isEqualTo("4504");
      }
      becomeCaptured();
      if (state == LeftBehind.COMMIT_NOT_PUBLISHED) {
        poke(header);
      } else if (state == LeftBehind.INVALID_HEADER) {
        poke(new byte[96]);
      }
      String seen = state == LeftBehind.RESTARTED ? "4504" : "4503";

      fixture.store.becomeReplica(true);
      sink = fixture.store.replicaSink(ReplicaListener.NOBODY);
      onPrimary("INSERT INTO t VALUES (5, 'five')");

      assertThat(reader.run("SELECT count(*) FROM t;")).isEqualTo(seen);
      assertThat(later.run(value(3) + value(4) + value(5))).isEqualTo("three\nfour\nfive");
      assertThat(later.run("SELECT count(*) FROM t; PRAGMA integrity_check;"))
          .isEqualTo("4505\nok");
      assertThat(reader.run("PRAGMA integrity_check; COMMIT;")).isEqualTo("ok");
      assertThat(reader.run("SELECT count(*) FROM t;")).isEqualTo("4505");
      assertThat(writer.run("INSERT INTO t VALUES (6, 'six');")).contains("locked");
      onPrimary("DELETE FROM t WHERE id > 100", "VACUUM");
      assertThat(later.run("SELECT count(*) FROM t; PRAGMA integrity_check;")).isEqualTo("5\nok");
    }
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  @Test
  void theWalIsPartOfTheDatabaseWhileItIsBeingTakenOver() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    ((ReplicaSink) sink).close();
    try (SqliteShell writer = SqliteShell.open(mounted)) {
      writer.run("PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (3, 'three');");
      becomeCaptured();
      Base.WalEnd end = database().wal().currentEnd();
      poke(new byte[96]); // so that the index is written anew
      AtomicReference<byte[]> exported = new AtomicReference<>();
      AtomicReference<Base.WalEnd> seen = new AtomicReference<>();
      kernel.stored =
          name -> {
            kernel.stored = any -> {};
            try {
              exported.set(fixture.export(DB));
              seen.set(database().wal().currentEnd());
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          };
      byte[] before = primary.image;
      fixture.store.becomeReplica(true);
      sink = fixture.store.replicaSink(ReplicaListener.NOBODY);
      onPrimary("INSERT INTO t VALUES (4, 'four')");
      assertThat(exported.get()).isEqualTo(before);
      assertThat(seen.get().offset()).isEqualTo(end.offset());
    }
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  /** As if its writer was killed and the next one began where the index says that the WAL ends. */
  private void commitAndOverwrite() throws Exception {
    byte[] next = primary.image.clone();
    next[next.length - 1] ^= 1;
    int last = next.length / PAGE_SIZE;
    WalPosition end = database().wal().capture().end();
    ByteBuffer frame = ByteBuffer.allocateDirect(Wal.frameSize(PAGE_SIZE));
    new WalEncoder(database().wal().capture().header(), end)
        .frame(last, last, direct(primary.page(next, last - 1)), frame);
    BackingFile wal = database().file(FileKind.WAL);
    database().wal().write(wal, frame.flip(), end.offset());
    primary.transactionTo(next);
    assertThat(database().pos()).isEqualTo(primary.pos);
    database().wal().write(wal, direct(new byte[Wal.FRAME_HEADER_SIZE]), end.offset());
  }

  /** Another node may write on top of what the log says, and this one goes on from there. */
  @Test
  void aTransactionThatNobodySawIsTakenBackBeforeWritersAreKeptOut() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    ((ReplicaSink) sink).close();
    fixture.store.becomePrimary();
    byte[] seen = primary.image;
    commitAndOverwrite();
    fixture.store.holdWriters(Duration.ofMinutes(1));
    assertThat(database().pos().txid()).isEqualTo(primary.pos.txid().next());
    assertThat(fixture.export(DB)).isEqualTo(seen);
    fixture.store.releaseWriters();
    assertThat(database().differsFromLog()).isFalse();
    assertThat(database().checksumOfPages(database().pageCount()))
        .isEqualTo(database().pos().checksum().value());
  }

  /** What the WAL has would not go along. */
  @Test
  void aWalDatabaseIsNotRenamedWhileItsWritersAreKeptOut() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    ((ReplicaSink) sink).close();
    fixture.store.becomePrimary();
    fixture.store.holdWriters(Duration.ofMinutes(1));
    assertThatThrownBy(() -> fixture.store.rename(DB, "other.db"))
        .isInstanceOf(ErrnoException.class)
        .hasMessageContaining("it has a WAL");
    fixture.store.releaseWriters();
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  /** Under the halt lock. The primary has it, and no connection here ever saw it. */
  @Test
  void aTransactionThatWasOverwrittenBeforeItWasPublishedNeedsASnapshot() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    ReplicaSink replicas = (ReplicaSink) sink;
    HaltSession session = new AcceptingPrimary().session(DB);
    replicas.replica(DB).handOver(session, primary.pos);
    commitAndOverwrite();
    session.end("");
    assertThat(replicas.replica(DB).settle(Duration.ofMinutes(1))).isTrue();
    assertThat(replicas.positions()).containsEntry(DB, Pos.ZERO);

    sink.ltx(DB, new ByteArrayInputStream(primary.snapshot()));
    onPrimary("INSERT INTO t VALUES (3, 'three')");
    assertThat(replicas.positions()).containsEntry(DB, primary.pos);
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  /** What capture and log would know if the application had written through a mount. */
  private void becomeCaptured() throws Exception {
    fixture.store.becomePrimary();
    Files.copy(fixture.file(DB, "database"), model, StandardCopyOption.REPLACE_EXISTING);
    Files.copy(
        fixture.file(DB, "wal"),
        model.resolveSibling("model-wal"),
        StandardCopyOption.REPLACE_EXISTING);
    try (Connection connection = StoreFixture.connect(model)) {
      StoreFixture.execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    byte[] captured = Files.readAllBytes(model);
    Database database = database();
    database.lock.lock();
    try {
      database.wal().capture().continueFrom(walHeader(), endOfLog());
    } finally {
      database.lock.unlock();
    }
    receiveIntoLogOnly(captured);
  }

  private void receiveIntoLogOnly(byte[] captured) throws IOException {
    Database database = database();
    int count = captured.length / PAGE_SIZE;
    PageTable all = new PageTable();
    for (int i = 1; i <= count; i++) {
      all.put(i, 1);
    }
    database.lock.lock();
    try {
      TransactionRecorder.Recorded recorded =
          database
              .recorder()
              .record(
                  database.state(),
                  PAGE_SIZE,
                  count,
                  all,
                  pgno -> direct(primary.page(captured, (int) pgno - 1)),
                  TransactionRecorder.WalRange.NONE);
      recorded.append();
      database.accept(recorded, true);
    } finally {
      database.lock.unlock();
    }
    primary.image = captured;
    primary.pos = database.pos();
  }

  private void poke(byte[] header) throws IOException {
    try (PosixFile shm = PosixFile.open(fixture.file(DB, "shm"), O_RDWR, 0)) {
      shm.pwrite(direct(header), 0);
    }
  }

  @Test
  void aNewPageSizeThatFailedHalfWayIsSeenByNobodyBeforeItIsWhole() throws Exception {
    ModelPrimary later = new ModelPrimary(model, 2 * PAGE_SIZE);
    later.pos = primary.pos;
    byte[] ltx =
        later.transaction(
            "PRAGMA journal_mode = DELETE",
            "PRAGMA page_size = " + 2 * PAGE_SIZE,
            "VACUUM",
            "PRAGMA journal_mode = WAL");
    primary = later;
    try (SqliteShell reader = SqliteShell.open(mounted)) {
      assertThat(reader.run("SELECT count(*) FROM t;")).isEqualTo("1");
      Thread thread = Thread.currentThread();
      kernel.stored =
          name -> {
            if (name.equals(DB) && Thread.currentThread() == thread) {
              kernel.stored = any -> {};
              StoreFixture.Kernel.reopen(database(), O_RDONLY);
            }
          };
      assertThatThrownBy(() -> sink.ltx(DB, new ByteArrayInputStream(ltx)))
          .isInstanceOf(ErrnoException.class);
      try (KeeperFile shm = keepers.open(mounted.resolveSibling(DB + "-shm"), O_RDWR, 0)) {
        assertThat(shm.tryLock(LockType.READ, LockBytes.WAL_READ_0, LockBytes.WAL_READERS))
            .as("a reader may begin")
            .isFalse();
      }

      StoreFixture.Kernel.reopen(database(), O_RDWR);
      awaitPosition();
      assertThat(reader.run(".timeout 60000\nSELECT count(*) FROM t; PRAGMA page_size;"))
          .isEqualTo("1\n" + 2 * PAGE_SIZE);
    }
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  @Test
  void theWalOfADemotedPrimaryGoesWithTheModeAfterItWasCut() throws Exception {
    onPrimary("UPDATE t SET b = 'first' WHERE id = 1");
    ((ReplicaSink) sink).close();
    SqliteShell writer = SqliteShell.open(mounted);
    try {
      writer.run("PRAGMA wal_autocheckpoint = 0;");
      writer.run("INSERT INTO t SELECT value, randomblob(900) FROM generate_series(2, 18000);");
      becomeCaptured();
    } finally {
      writer.kill(); // It must not take the WAL along.
    }
    assertThat(database().file(FileKind.WAL).size()).isGreaterThan(16 << 20);
    CountDownLatch cut = new CountDownLatch(1);
    kernel.invalidated =
        name -> {
          if (name.equals(DB + "-wal")) {
            cut.countDown();
          }
        };
    fixture.store.becomeReplica(true);
    sink = fixture.store.replicaSink(ReplicaListener.NOBODY);
    onPrimary("UPDATE t SET b = 'eins' WHERE id = 1");
    assertThat(cut.await(1, TimeUnit.MINUTES)).as("the WAL begins anew").isTrue();

    onPrimary("PRAGMA journal_mode = DELETE");
    onPrimary("UPDATE t SET b = 'uno' WHERE id = 1");
    assertThat(database().file(FileKind.WAL)).isNull();
    unlinkWal();
    try (SqliteShell reader = SqliteShell.open(mounted)) {
      assertThat(reader.run(value(1) + "PRAGMA journal_mode;")).isEqualTo("uno\ndelete");
    }
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  @Test
  void leavingWalModeShutsNobodyOutIfItFails() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, 'two')");
    kernel.invalidated =
        name -> {
          if (name.equals(DB + "-wal")) {
            kernel.invalidated = any -> {};
            throw new IllegalStateException("the name stays");
          }
        };
    assertThatThrownBy(() -> onPrimary("PRAGMA journal_mode = DELETE"))
        .hasMessageContaining("the name stays");
    unlinkWal();
    try (SqliteShell reader = SqliteShell.open(mounted)) {
      assertThat(reader.run(value(1))).isEqualTo("one");
      onPrimary("UPDATE t SET b = 'uno' WHERE id = 1");
      assertThat(reader.run(".timeout 60000\n" + value(1))).isEqualTo("uno");
    }
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  /** As a mount would, whose files these are. */
  private void unlinkWal() throws IOException {
    Files.delete(mounted.resolveSibling(DB + "-wal"));
    Files.delete(mounted.resolveSibling(DB + "-shm"));
  }

  @Test
  void framesNeverLieAboutWhereTheyAre() throws Exception {
    onPrimary("INSERT INTO t VALUES (2, zeroblob(20000))");
    WalIndexHeader header = indexHeader();
    assertThat(endOfLog().offset()).isEqualTo(Wal.frameOffset(header.maxFrame() + 1, PAGE_SIZE));
    assertThat(endOfLog().checksum()).isEqualTo(header.frameChecksum());
    assertThat(header.pageCount()).isEqualTo(primary.image.length / PAGE_SIZE);
  }
}

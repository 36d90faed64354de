package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.fuse.Keepers;
import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.replication.Acknowledger;
import io.litefs.sqlite.SqliteShell;
import java.io.ByteArrayInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a replica makes of transactions that it has received and cannot apply, or not at once. The
 * database has a rollback journal; the file that a mount would show is a link to the data
 * directory's.
 */
@Timeout(120)
class ReplicaDatabaseTest {

  private static final int PAGE_SIZE = 1024;
  private static final String DB = "a.db";

  @TempDir Path dir;

  private Keepers keepers;
  private StoreFixture fixture;
  private ReplicaSink sink;
  private ModelPrimary primary;

  private final StoreFixture.Kernel kernel = new StoreFixture.Kernel();
  private Path mounted;

  @BeforeEach
  void startAReplica() throws Exception {
    keepers = Keepers.start();
    Path mount = Files.createDirectory(dir.resolve("mount"));
    primary = new ModelPrimary(dir.resolve("model"), PAGE_SIZE);
    fixture = new StoreFixture(dir.resolve("data"), kernel, keepers, mount);
    fixture.store.becomeReplica(true);
    sink = (ReplicaSink) fixture.store.replicaSink(ReplicaListener.NOBODY);
    receive(
        primary.transaction(
            "PRAGMA page_size = " + PAGE_SIZE,
            "CREATE TABLE t(id INTEGER PRIMARY KEY, b)",
            "INSERT INTO t VALUES (1, 'one')"));
    mounted = Files.createLink(mount.resolve(DB), fixture.file(DB, "database"));
  }

  @AfterEach
  void stop() throws IOException {
    kernel.stored = name -> {};
    sink.close();
    fixture.close();
    keepers.close();
  }

  private Database database() {
    return fixture.store.find(DB);
  }

  private void receive(byte[] ltx) throws IOException {
    sink.ltx(DB, new ByteArrayInputStream(ltx));
  }

  private byte[] threePages() throws Exception {
    return primary.transaction("INSERT INTO t VALUES (2, zeroblob(2000))");
  }

  private void awaitApplied() throws Exception {
    assertThat(database().awaitTxid(primary.pos.txid(), Duration.ofMinutes(1))).isTrue();
    assertThat(database().pos()).isEqualTo(primary.pos);
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
  }

  private void failAlways() {
    kernel.stored =
        name -> {
          throw new IllegalStateException("no page goes through");
        };
  }

  @Test
  void whatCouldNotBeAppliedIsAppliedFromTheLog() throws Exception {
    kernel.failOnce(database());
    byte[] ltx = threePages();
    assertThatThrownBy(() -> receive(ltx)).isInstanceOf(ErrnoException.class);
    awaitApplied();
  }

  @Test
  void anErrorWhileTheLogIsAppliedKeepsNothingFromBeingAppliedLater() throws Exception {
    Thread stream = Thread.currentThread();
    CompletableFuture<Thread> applying = new CompletableFuture<>();
    kernel.stored =
        name -> {
          if (Thread.currentThread() != stream) {
            applying.complete(Thread.currentThread());
          }
          throw new OutOfMemoryError("no page goes through");
        };
    byte[] ltx = threePages();
    assertThatThrownBy(() -> receive(ltx)).isInstanceOf(OutOfMemoryError.class);
    applying.get().join();
    kernel.stored = name -> {};
    receive(primary.transaction("UPDATE t SET b = 'another' WHERE id = 1"));
    awaitApplied();
  }

  /** The log that could not be applied is no longer there when the failure is noted. */
  @Test
  void aSnapshotThatComesWhenTheLogCannotBeAppliedIsApplied() throws Exception {
    byte[] ltx = threePages();
    byte[] snapshot = primary.snapshot();
    Thread[] receiving = new Thread[1];
    CompletableFuture<CompletableFuture<Void>> received = new CompletableFuture<>();
    Thread stream = Thread.currentThread();
    kernel.stored =
        name -> {
          throw new IllegalStateException("no page goes through") {
            @Override
            public String getMessage() {
              if (Thread.currentThread() != stream && !received.isDone()) {
                kernel.stored = any -> {};
                received.complete(inAThread(receiving, () -> receive(snapshot)));
                awaitWaiting(receiving[0]);
              }
              return super.getMessage();
            }
          };
        };
    assertThatThrownBy(() -> receive(ltx)).isInstanceOf(IllegalStateException.class);
    received.get().get();
    awaitApplied();
    assertThat(sink.positions()).containsEntry(DB, primary.pos);
  }

  /** Of another primary, which is behind this node. */
  @Test
  void aSnapshotThatGoesBackIsAppliedBeforeWhatFollowsIt() throws Exception {
    receive(threePages());
    primary = new ModelPrimary(dir.resolve("other"), PAGE_SIZE);
    byte[] snapshot =
        primary.transaction("PRAGMA page_size = " + PAGE_SIZE, "CREATE TABLE other(x)");
    StoreFixture.Kernel.reopen(database(), PosixFile.O_RDONLY);
    assertThatThrownBy(() -> receive(snapshot)).isInstanceOf(ErrnoException.class);
    receive(primary.transaction("INSERT INTO other VALUES (2)"));
    receive(primary.transaction("INSERT INTO other VALUES (3)"));
    StoreFixture.Kernel.reopen(database(), PosixFile.O_RDWR);
    awaitApplied();
    assertThat(sink.positions()).containsEntry(DB, primary.pos);
  }

  @Test
  void whatCouldNotBeAcknowledgedIsApplied() throws Exception {
    sink.acknowledgeTo(
        new Acknowledger() {
          @Override
          public boolean wantsDurable() {
            throw new IllegalStateException("the log cannot be synced");
          }

          @Override
          public void acknowledge(String name, Pos pos) {}

          @Override
          public void inSync() {}
        });
    byte[] ltx = threePages();
    assertThatThrownBy(() -> receive(ltx)).hasMessageContaining("cannot be synced");
    awaitApplied();
  }

  @Test
  void aNodeDoesNotLeadWithoutWhatItHasReceived() throws Exception {
    Pos before = database().pos();
    failAlways();
    byte[] ltx = threePages();
    assertThatThrownBy(() -> receive(ltx)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(fixture.store::becomePrimary)
        .isInstanceOf(StoreException.class)
        .hasMessageContaining("cannot be applied: no page goes through");
    assertThat(fixture.store.isPrimary()).isFalse();
    assertThat(database().pos()).isEqualTo(before);
    assertThat(database().log().end()).isEqualTo(primary.pos);

    kernel.stored = name -> {};
    fixture.store.becomePrimary();
    assertThat(fixture.store.isPrimary()).isTrue();
    awaitApplied();
  }

  @Test
  void aNodeThatCouldNotLeadGoesOnReceiving() throws Exception {
    failAlways();
    byte[] ltx = threePages();
    assertThatThrownBy(() -> receive(ltx)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(fixture.store::becomePrimary).isInstanceOf(StoreException.class);
    kernel.stored = name -> {};
    assertThat(sink.positions()).as("asks for a snapshot").containsEntry(DB, Pos.ZERO);
    receive(primary.snapshot());
    awaitApplied();
    receive(primary.transaction("INSERT INTO t VALUES (3, 'three')"));
    awaitApplied();
  }

  @Test
  void aNodeLeadsWhenAStreamThatHasEndedHasAppliedItsLastTransaction() throws Exception {
    CountDownLatch inTheMiddle = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    kernel.stored =
        name -> {
          inTheMiddle.countDown();
          awaitUninterrupted(goOn);
        };
    byte[] ltx = threePages();
    CompletableFuture<Void> stream = inAThread(() -> receive(ltx));
    inTheMiddle.await();
    Thread[] leading = new Thread[1];
    CompletableFuture<Void> lead =
        inAThread(
            leading,
            () -> {
              fixture.store.becomePrimary();
              assertThat(database().pos()).isEqualTo(primary.pos);
            });
    try {
      awaitWaiting(leading[0]);
      assertThat(fixture.store.isPrimary()).isFalse();
    } finally {
      goOn.countDown();
    }
    stream.get();
    lead.get();
    assertThat(fixture.export(DB)).isEqualTo(primary.image);
    byte[] late = primary.transaction("INSERT INTO t VALUES (3, 'three')");
    Pos led = database().pos();
    assertThatThrownBy(() -> receive(late)).isInstanceOf(IOException.class);
    assertThat(database().log().end()).as("nothing comes any more").isEqualTo(led);
  }

  @Test
  void aTransactionThatFailedHalfWayIsSeenByNobodyBeforeItIsWhole() throws Exception {
    Pos before = database().pos();
    byte[] ltx = primary.transaction("UPDATE t SET b = zeroblob(2000)");
    kernel.stored =
        name -> {
          kernel.stored = any -> {};
          StoreFixture.Kernel.reopen(database(), PosixFile.O_RDONLY);
        };
    assertThatThrownBy(() -> receive(ltx)).isInstanceOf(ErrnoException.class);
    try (SqliteShell reader = SqliteShell.open(mounted)) {
      assertThat(reader.run("SELECT length(b) FROM t;")).contains("database is locked");
      assertThat(database().pos()).isEqualTo(before);
      assertThat(database().bases().advance(false)).as("is a base for recovery").isFalse();

      StoreFixture.Kernel.reopen(database(), PosixFile.O_RDWR);
      awaitApplied();
      // The position comes a moment before the locks go.
      assertThat(reader.run(".timeout 60000\nSELECT length(b) FROM t;")).isEqualTo("2000");
    }
  }

  @Test
  void withoutSpaceToGrowNothingChangesAndReadersGoOn() throws Exception {
    byte[] before = Files.readAllBytes(mounted);
    byte[] ltx = threePages();
    AtomicInteger pages = new AtomicInteger();
    kernel.stored = name -> pages.incrementAndGet();
    StoreFixture.Kernel.reopen(database(), PosixFile.O_RDONLY);
    assertThatThrownBy(() -> receive(ltx))
        .isInstanceOf(ErrnoException.class)
        .hasMessageContaining("allocate");
    assertThat(pages).hasValue(0);
    assertThat(Files.readAllBytes(mounted)).isEqualTo(before);
    try (SqliteShell reader = SqliteShell.open(mounted)) {
      // Between two attempts.
      assertThat(reader.run(".timeout 60000\nSELECT count(*) FROM t;")).isEqualTo("1");
    }
    StoreFixture.Kernel.reopen(database(), PosixFile.O_RDWR);
    awaitApplied();
  }

  @Test
  void theNextStreamDoesNotDisturbTheLastTransactionOfTheOneBefore() throws Exception {
    CountDownLatch inTheMiddle = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    kernel.stored =
        name -> {
          inTheMiddle.countDown();
          awaitUninterrupted(goOn);
        };
    byte[] last = threePages();
    CompletableFuture<Void> before = inAThread(() -> receive(last));
    inTheMiddle.await();
    ReplicaSink next = (ReplicaSink) fixture.store.replicaSink(ReplicaListener.NOBODY);
    byte[] first = primary.transaction("UPDATE t SET b = 'another' WHERE id = 1");
    Thread[] receiving = new Thread[1];
    CompletableFuture<Void> after =
        inAThread(receiving, () -> next.ltx(DB, new ByteArrayInputStream(first)));
    awaitWaiting(receiving[0]);
    goOn.countDown();
    before.get();
    after.get();
    awaitApplied();
    assertThat(database().checksumOfPages(database().pageCount()))
        .isEqualTo(primary.pos.checksum().value());
    next.close();
  }

  @Test
  void aTransactionThatLeadsElsewhereIsAnsweredByAskingForASnapshot() throws Exception {
    byte[] next = primary.image.clone();
    next[next.length - 1] ^= 1;
    byte[] ltx = primary.encode(next, new Checksum(Checksum.FLAG | 42));
    assertThatThrownBy(() -> receive(ltx))
        .isInstanceOf(StoreException.class)
        .hasMessageContaining("would lead to checksum");
    assertThat(sink.positions()).containsEntry(DB, Pos.ZERO);
    threePages();
    receive(primary.snapshot());
    awaitApplied();
    assertThat(sink.positions()).containsEntry(DB, primary.pos);
  }

  /** It was made here under the halt lock, and the primary sends it no second time by itself. */
  @Test
  void whatCameBackAndCouldNotBeWrittenHereIsAskedForAgain() throws Exception {
    Pos before = database().pos();
    HaltSession session = new AcceptingPrimary().session(DB);
    sink.replica(DB).handOver(session, before);
    byte[] ltx = threePages();
    session.forward(Files.write(dir.resolve("sent.ltx"), ltx), primary.pos);
    receive(ltx);
    session.revoked();
    assertThat(sink.replica(DB).settle(Duration.ofMinutes(1))).isTrue();
    assertThat(database().pos()).isEqualTo(before);
    assertThatThrownBy(() -> sink.heartbeat(Instant.EPOCH)).hasMessageContaining("beginning anew");

    assertThat(sink.positions()).containsEntry(DB, before);
    sink.heartbeat(Instant.EPOCH);
    receive(ltx);
    awaitApplied();
    sink.heartbeat(Instant.EPOCH);
  }

  @Test
  void aHandedOverDatabaseGoesOnAfterTheTransactionThatTheHandoffWaitedFor() throws Exception {
    fixture.store.becomePrimary();
    try (SqliteShell writer = SqliteShell.open(mounted)) {
      assertThat(writer.run("BEGIN IMMEDIATE;")).isEmpty();
      Thread[] handingOver = new Thread[1];
      CompletableFuture<Void> held =
          inAThread(handingOver, () -> fixture.store.holdWriters(Duration.ofMinutes(1)));
      awaitWithin("keepWritersOut", handingOver[0]);
      threePages();
      fixture.overwrite(DB, Files.write(dir.resolve("image"), primary.image));
      assertThat(writer.run("COMMIT;")).isEmpty();
      held.get();
    }
    Pos last = database().pos();
    assertThat(last.txid()).isEqualTo(new Txid(2));
    List<Txid> applied = new CopyOnWriteArrayList<>();
    Closeable listening = fixture.store.onTransaction(t -> applied.add(t.txid()));
    fixture.store.becomeReplica(true);
    assertThat(fixture.store.receivedPositions()).containsEntry(DB, last);
    fixture.store.becomePrimary();
    listening.close();
    assertThat(applied).as("what is applied again").isEmpty();
    assertThat(database().pos()).isEqualTo(last);
  }

  @Test
  void aForwardedCommitWithoutAnAnswerDoesNotKeepANodeFromLeading() throws Exception {
    SilentPrimary silent = new SilentPrimary(primary.pos);
    fixture.store.forwardedWrites().connect(silent);
    fixture.store.forwardedWrites().acquire(DB, Duration.ofSeconds(1));
    Pos before = database().pos();
    CompletableFuture<Void> commit = inAThread(this::commit);
    CompletableFuture.anyOf(commit, inAThread(silent.sent::await)).get();
    fixture.store.becomePrimary();
    assertThat(commit).failsWithin(Duration.ofMinutes(1));
    assertThat(fixture.store.isPrimary()).isTrue();
    assertThat(database().log().end()).isEqualTo(before);
  }

  /** What SQLite writes for one transaction that is larger than its cache. */
  private void commit() throws Exception {
    Path copy = Files.write(dir.resolve("copy.db"), primary.image);
    byte[] journal;
    try (Connection connection = StoreFixture.connect(copy)) {
      StoreFixture.execute(
          connection,
          "PRAGMA cache_size = 2",
          "BEGIN",
          "WITH RECURSIVE n(i) AS (VALUES (10) UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
              + " INSERT INTO t SELECT i, zeroblob(900) FROM n");
      journal = Files.readAllBytes(dir.resolve("copy.db-journal"));
      StoreFixture.execute(connection, "COMMIT");
    }
    byte[] content = Files.readAllBytes(copy);
    BackingFile undo = database().acquire(FileKind.JOURNAL, true);
    BackingFile file = database().acquire(FileKind.DATABASE, false);
    try {
      database().journal().write(undo, StoreFixture.direct(journal, 0, journal.length), 0);
      database().writeDatabase(file, StoreFixture.direct(content, 0, content.length), 0);
      database().journal().unlink();
    } finally {
      file.release();
      undo.release();
    }
  }

  /** The database itself is still what it was, and its position is beyond the log's end. */
  @Test
  void aSnapshotThatGoesBackAndCouldNotBeAppliedIsAppliedByTheNextStart() throws Exception {
    receive(threePages());
    receive(primary.transaction("UPDATE t SET b = 'two' WHERE id = 1"));
    awaitApplied();
    assertThat(database().bases().advance(false)).isTrue();
    ModelPrimary other = new ModelPrimary(dir.resolve("other"), PAGE_SIZE);
    other.transaction(
        "PRAGMA page_size = " + PAGE_SIZE, "CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
    try (SqliteShell reader = SqliteShell.open(mounted)) {
      assertThat(reader.run("BEGIN; SELECT count(*) FROM t;")).isEqualTo("2");
      receive(other.snapshot());
      receive(other.transaction("INSERT INTO t VALUES (1, 'other')"));
      assertThat(database().pos()).isEqualTo(primary.pos);
      Path killed = dir.resolve("killed");
      StoreFixture.copy(fixture.dir, killed);
      try (StoreFixture again = new StoreFixture(killed)) {
        assertThat(again.store.find(DB).pos()).isEqualTo(other.pos);
        assertThat(again.export(DB)).isEqualTo(other.image);
      }
    }
  }

  private static void awaitWithin(String method, Thread thread) {
    while (thread.isAlive()
        && Arrays.stream(thread.getStackTrace())
            .noneMatch(frame -> frame.getMethodName().equals(method))) {
      Thread.onSpinWait();
    }
  }

  @FunctionalInterface
  private interface Action {
    void run() throws Exception;
  }

  private static CompletableFuture<Void> inAThread(Action action) {
    return inAThread(new Thread[1], action);
  }

  private static CompletableFuture<Void> inAThread(Thread[] thread, Action action) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    thread[0] =
        new Thread(
            () -> {
              try {
                action.run();
                done.complete(null);
              } catch (Throwable e) {
                done.completeExceptionally(e);
              }
            });
    thread[0].setDaemon(true);
    thread[0].start();
    return done;
  }

  /** Until it waits for another thread, or has ended. */
  private static void awaitWaiting(Thread thread) {
    while (thread.getState() != Thread.State.TIMED_WAITING
        && thread.getState() != Thread.State.WAITING
        && thread.getState() != Thread.State.TERMINATED) {
      Thread.onSpinWait();
    }
  }

  private static void awaitUninterrupted(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}

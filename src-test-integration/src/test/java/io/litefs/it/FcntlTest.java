package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.LockingProgram.Owner;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The halt lock by real fcntl(2) on {@code <db>-lock}, as client libraries take it. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FcntlTest {

  private static final String INSERT = "INSERT INTO t(a) VALUES (1)";
  private static final String COUNT = "SELECT count(*) FROM t";

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @BeforeAll
  static void create() {
    for (String db : new String[] {"delete.db", "wal.db", "held.db", "other.db"}) {
      JournalMode mode = db.equals("delete.db") ? JournalMode.DELETE : JournalMode.WAL;
      Commands.run("sqlite3", NODES.primary().db(db).toString(), mode.pragma() + ";" + Sql.CREATE)
          .orThrow();
      NODES.cluster().sync(db);
    }
  }

  private static LockingProgram program(Node node, String db, Owner owner) {
    return new LockingProgram(node.db(db), owner);
  }

  /** A lock that is being given back is waited for. */
  private static String onPrimary(String db, String sql) {
    return Commands.run("sqlite3", NODES.primary().db(db).toString(), ".timeout 30000", sql)
        .orThrow()
        .output()
        .strip();
  }

  private static String soon(CompletableFuture<String> answer) throws Exception {
    return answer.get(60, TimeUnit.SECONDS);
  }

  @ParameterizedTest
  @CsvSource({"PROCESS, delete.db", "DESCRIPTION, wal.db"})
  void aReplicaWritesWhileItHoldsTheLock(Owner owner, String db) {
    try (LockingProgram program = program(NODES.replica(), db, owner)) {
      assertThat(program.sql(INSERT)).contains("readonly");
      assertThat(program.await()).isEqualTo("ok");
      int before = Integer.parseInt(onPrimary(db, COUNT));
      assertThat(program.sql(INSERT)).isEqualTo("ok");
      assertThat(onPrimary(db, COUNT)).isEqualTo(Integer.toString(before + 1));
      assertThat(
              Commands.run("sqlite3", NODES.primary().db(db).toString(), ".timeout 0", INSERT)
                  .output())
          .as(() -> NODES.primary().log())
          .contains("locked");
      assertThat(program.unlock()).isEqualTo("ok");
      onPrimary(db, INSERT);
      NODES.cluster().sync(db);
      assertThat(program.sql(INSERT)).contains("readonly");
    }
    NODES.cluster().assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(Owner.class)
  void theNextOneWaitsAndGetsIt(Owner owner) throws Exception {
    try (LockingProgram first = program(NODES.replica(), "wal.db", owner);
        LockingProgram second = program(NODES.replica(), "wal.db", owner)) {
      assertThat(second.holder()).isEqualTo("none");
      assertThat(first.attempt()).isEqualTo("ok");
      assertThat(second.attempt()).isEqualTo("EAGAIN");
      // To fcntl, open file descriptions have no process.
      assertThat(second.holder())
          .isEqualTo("72+1 by " + (owner == Owner.PROCESS ? first.pid() : -1));
      CompletableFuture<String> waiting = second.awaiting(NODES.replica());
      assertThat(first.sql(INSERT)).isEqualTo("ok");
      assertThat(first.unlock()).isEqualTo("ok");
      assertThat(soon(waiting)).isEqualTo("ok");
      assertThat(second.sql(INSERT)).isEqualTo("ok");
      assertThat(first.attempt()).isEqualTo("EAGAIN");
    }
  }

  @Test
  void aSignalEndsAWaitAndAHandledOneDoesNot() throws Exception {
    try (LockingProgram holder = program(NODES.replica(), "wal.db", Owner.PROCESS);
        LockingProgram waiter = program(NODES.replica(), "wal.db", Owner.DESCRIPTION)) {
      assertThat(holder.await()).isEqualTo("ok");
      CompletableFuture<String> waiting = waiter.awaiting(NODES.replica());
      waiter.signal("USR1");
      assertThat(soon(waiting)).isEqualTo("interrupted");
      waiting = waiter.awaiting(NODES.replica());
      waiter.signal("USR2");
      assertThat(waiting).isNotDone();
      assertThat(holder.unlock()).isEqualTo("ok");
      assertThat(soon(waiting)).isEqualTo("ok");
      assertThat(waiter.handled()).isOne();
      holder.signal("USR2");
      try (LockingProgram killed = program(NODES.replica(), "wal.db", Owner.PROCESS)) {
        killed.awaiting(NODES.replica());
        killed.kill();
      }
      assertThat(waiter.sql(INSERT)).isEqualTo("ok");
    }
  }

  @ParameterizedTest
  @EnumSource(Owner.class)
  void aHolderThatIsKilledFreesIt(Owner owner) throws Exception {
    try (LockingProgram holder = program(NODES.replica(), "delete.db", owner);
        LockingProgram waiter = program(NODES.replica(), "delete.db", owner)) {
      assertThat(holder.await()).isEqualTo("ok");
      CompletableFuture<String> waiting = waiter.awaiting(NODES.replica());
      holder.kill();
      assertThat(soon(waiting)).isEqualTo("ok");
      waiter.kill();
    }
    onPrimary("delete.db", INSERT);
    NODES.cluster().assertIdentical("delete.db");
  }

  @Test
  void aCloseEndsTheLocksOfItsProcessOnly() {
    try (LockingProgram other = program(NODES.replica(), "wal.db", Owner.PROCESS)) {
      try (LockingProgram description = program(NODES.replica(), "wal.db", Owner.DESCRIPTION)) {
        assertThat(description.await()).isEqualTo("ok");
        description.openAndClose();
        description.childThatCloses();
        assertThat(other.attempt()).isEqualTo("EAGAIN");
        assertThat(description.sql(INSERT)).isEqualTo("ok");
      }
      try (LockingProgram process = program(NODES.replica(), "wal.db", Owner.PROCESS)) {
        assertThat(process.await()).isEqualTo("ok");
        process.childThatCloses();
        assertThat(other.attempt()).isEqualTo("EAGAIN");
        process.openAndClose();
        assertThat(other.await()).isEqualTo("ok");
        assertThat(process.attempt()).isEqualTo("EAGAIN");
      }
    }
  }

  @Test
  void onThePrimaryItKeepsOutOnlyProgramsThatAskForIt() {
    try (LockingProgram first = program(NODES.primary(), "wal.db", Owner.DESCRIPTION);
        LockingProgram second = program(NODES.primary(), "wal.db", Owner.PROCESS)) {
      assertThat(first.await()).isEqualTo("ok");
      assertThat(second.attempt()).isEqualTo("EAGAIN");
      assertThat(second.sql(INSERT)).isEqualTo("ok");
      assertThat(first.sql(INSERT)).isEqualTo("ok");
      assertThat(first.unlock()).isEqualTo("ok");
      assertThat(second.attempt()).isEqualTo("ok");
    }
  }

  @Test
  void theLinkIsRelativeAndNotListed() throws Exception {
    Node node = NODES.replica();
    assertThat(Files.readSymbolicLink(node.db("wal.db-lock")))
        .isEqualTo(Path.of("../.mount.locks/wal.db-lock"));
    assertThat(node.db("wal.db-lock")).exists().isEmptyFile();
    assertThat(Commands.run("ls", "-a", node.mount().toString()).output()).doesNotContain("-lock");
  }

  @ParameterizedTest
  @ValueSource(strings = {"-l", "-f"})
  void locksEndWithTheMountThatSomebodyTakesAway(String how) {
    Node replica = NODES.replica();
    try (LockingProgram holder = program(replica, "wal.db", Owner.DESCRIPTION)) {
      assertThat(holder.await()).isEqualTo("ok");
      if (how.equals("-f")) {
        // Ends the connection; the mount itself is busy.
        Commands.run("umount", how, replica.lockMount().toString());
      }
      Commands.run("umount", "-l", replica.lockMount().toString()).orThrow();
      try (LockingProgram next = program(replica, "wal.db", Owner.DESCRIPTION)) {
        assertThat(next.await()).isEqualTo("ok");
        assertThat(next.sql(INSERT)).isEqualTo("ok");
        assertThat(holder.attempt()).isIn("ECONNABORTED", "ENOTCONN");
      }
    }
  }

  /** As a container does that shares the directory above the mount. */
  @Test
  void aMountNamespaceThatWasThereBeforeSeesTheLockFiles() {
    try (Node node = Node.create("shared", NodeConfig.primary())) {
      String home = node.home().toString();
      Reaper.mount(node.home());
      Commands.shell("mount --bind '%1$s' '%1$s' && mount --make-shared '%1$s'".formatted(home))
          .orThrow();
      try {
        node.start();
        Commands.run("sqlite3", node.db("a.db").toString(), Sql.CREATE).orThrow();
        try (LockingProgram inside =
                new LockingProgram(
                    node.db("a.db"),
                    Owner.DESCRIPTION,
                    "unshare",
                    "--mount",
                    "--propagation",
                    "slave");
            LockingProgram outside = program(node, "a.db", Owner.DESCRIPTION)) {
          assertThat(inside.await()).isEqualTo("ok");
          assertThat(outside.attempt()).isEqualTo("EAGAIN");
        }
        assertThat(node.stop()).isZero();
      } finally {
        Commands.run("umount", "-l", home).orThrow();
      }
    }
  }

  @Test
  void nothingIsLeftOfADaemonThatIsKilledOrStoppedWithTheLockHeld() throws Exception {
    Node replica = NODES.replica();
    try (LockingProgram holder = program(replica, "held.db", Owner.DESCRIPTION);
        LockingProgram waiter = program(replica, "held.db", Owner.DESCRIPTION)) {
      assertThat(holder.await()).isEqualTo("ok");
      CompletableFuture<String> waiting = waiter.awaiting(replica);
      replica.kill();
      assertThat(soon(waiting)).isIn("ECONNABORTED", "ENOTCONN");
      assertThat(Mounts.isMounted(replica.lockMount())).isTrue();
      assertThat(holder.sql(INSERT)).isNotEqualTo("ok");
      replica.start();
      assertThat(Mounts.isMounted(replica.lockMount())).isFalse();
      assertThat(replica.lockMount()).doesNotExist();
      assertThat(holder.unlock()).isNotEqualTo("ok");
    }
    try (LockingProgram holder = program(replica, "other.db", Owner.PROCESS);
        LockingProgram waiter = program(replica, "other.db", Owner.PROCESS)) {
      assertThat(holder.await()).isEqualTo("ok");
      assertThat(holder.sql(INSERT)).isEqualTo("ok");
      CompletableFuture<String> waiting = waiter.awaiting(replica);
      assertThat(replica.stop()).isZero();
      assertThat(soon(waiting)).isEqualTo("ENOLCK");
      assertThat(replica.lockMount()).doesNotExist();
      // Given back, not left to expire.
      assertThat(
              Commands.run(
                      "sqlite3", NODES.primary().db("other.db").toString(), ".timeout 0", INSERT)
                  .exitCode())
          .isZero();
      replica.start();
    }
    NODES.cluster().assertIdentical("other.db");
  }
}

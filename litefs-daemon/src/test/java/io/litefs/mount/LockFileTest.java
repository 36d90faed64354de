package io.litefs.mount;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.fuse.LockingFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.fuse.RangeLock;
import io.litefs.posix.Errno;
import io.litefs.store.HaltRefusedException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Who gets the lock and the halt lock when, with an executor that the test steps through. */
class LockFileTest {

  private static final Duration NEVER = Duration.ofDays(1);

  /** A primary that grants or refuses as it is told. */
  private static final class Primary implements HaltSource {
    boolean needed = true;
    IOException refusal;
    int taken;
    int held;
    boolean lost;

    @Override
    public boolean isNeeded() {
      return needed;
    }

    @Override
    public Halt take(String database) throws IOException {
      if (refusal != null) {
        throw refusal;
      }
      taken++;
      held++;
      lost = false;
      return new Halt() {
        @Override
        public boolean isActive() {
          return !lost;
        }

        @Override
        public void giveBack() {
          held--;
        }
      };
    }
  }

  private final Primary primary = new Primary();
  private final Deque<Runnable> tasks = new ArrayDeque<>();
  private final LockFile file = file(new LockFile.Patience(Duration.ZERO, NEVER));

  private LockFile file(LockFile.Patience patience) {
    return new LockFile("a.db", primary, this::later, patience, () -> 0);
  }

  private void later(Runnable task) {
    synchronized (tasks) {
      tasks.add(task);
      tasks.notifyAll();
    }
  }

  /** Runs one task; waits for it if it is only to come. */
  private void step() throws InterruptedException {
    Runnable task;
    synchronized (tasks) {
      while (tasks.isEmpty()) {
        tasks.wait(TimeUnit.SECONDS.toMillis(20));
      }
      task = tasks.remove();
    }
    task.run();
  }

  private static LockingFile open(LockFile file) {
    return (LockingFile) file.open(new OpenRequest(2, 1, 0));
  }

  private LockingFile open() {
    return open(file);
  }

  private static RangeLock halt(long owner) {
    return new RangeLock(LockFile.HALT, LockFile.HALT, true, owner, (int) owner);
  }

  private static HaltRefusedException busy() {
    return new HaltRefusedException(HaltRefusedException.Reason.BUSY, "another node has it");
  }

  @Test
  void theLockIsThereWhenTheHaltLockIs() throws Exception {
    LockingFile handle = open();
    CompletableFuture<Integer> answer = handle.lock(halt(1), true);
    assertThat(answer).isNotDone();
    step();
    assertThat(answer).isCompletedWithValue(0);
    assertThat(primary.held).isOne();
    CompletableFuture<Integer> unlocked = handle.unlock(halt(1));
    assertThat(unlocked).as("waits for the primary").isNotDone();
    step();
    assertThat(unlocked).isCompletedWithValue(0);
    assertThat(primary.held).isZero();
  }

  @Test
  void aLockOfTheWholeFileIsOneOfTheByteToo() throws Exception {
    CompletableFuture<Integer> answer =
        open().lock(new RangeLock(0, Long.MAX_VALUE, true, 1, 1), false);
    step();
    assertThat(answer).isCompletedWithValue(0);
    assertThat(primary.held).isOne();
  }

  @Test
  void otherLocksNeedNoHaltLock() {
    assertThat(open().lock(new RangeLock(0, 71, true, 1, 1), true)).isCompletedWithValue(0);
    assertThat(open().lock(new RangeLock(0, 100, false, 1, 1), true)).isCompletedWithValue(0);
    assertThat(tasks).isEmpty();
  }

  @Test
  void thePrimaryLocksOnlyItself() {
    primary.needed = false;
    LockingFile handle = open();
    assertThat(handle.lock(halt(1), true)).isCompletedWithValue(0);
    assertThat(open().lock(halt(2), false)).isCompletedWithValue(Errno.EAGAIN);
    CompletableFuture<Integer> waits = open().lock(halt(2), true);
    assertThat(waits).isNotDone();
    assertThat(open().conflict(halt(3))).contains(halt(1));
    assertThat(handle.unlock(halt(1))).isCompletedWithValue(0);
    assertThat(waits).isCompletedWithValue(0);
    assertThat(tasks).isEmpty();
  }

  @Test
  void theNextOneTakesTheHaltLockAnew() throws Exception {
    LockingFile first = open();
    first.lock(halt(1), true);
    step();
    CompletableFuture<Integer> second = open().lock(halt(2), true);
    CompletableFuture<Integer> third = open().lock(halt(3), true);
    first.closedBy(1);
    step(); // gives back
    assertThat(primary.held).isZero();
    step(); // takes
    assertThat(second).isCompletedWithValue(0);
    assertThat(third).isNotDone();
    assertThat(primary.taken).isEqualTo(2);
  }

  @Test
  void closingADescriptorEndsTheLocksOfItsOwnerOnly() throws Exception {
    LockingFile handle = open();
    handle.lock(halt(1), true);
    step();
    handle.closedBy(2); // a child that has inherited it
    open().release(); // another handle
    assertThat(tasks).isEmpty();
    assertThat(file.held()).containsExactly(halt(1));
    handle.release(); // an open file description's lock goes with this alone
    step();
    assertThat(primary.held).isZero();
    assertThat(file.held()).isEmpty();
  }

  @Test
  void whoIsInterruptedAndComesBackGetsWhatIsUnderWay() throws Exception {
    CompletableFuture<Integer> first = open().lock(halt(1), true);
    first.complete(Errno.EINTR);
    assertThat(file.waitedFor()).isEmpty();
    CompletableFuture<Integer> again = open().lock(halt(1), true);
    step();
    assertThat(again).isCompletedWithValue(0);
    assertThat(primary.taken).isOne();
    assertThat(tasks).isEmpty();
  }

  @Test
  void whatNobodyWantsAnyMoreIsGivenBack() throws Exception {
    open().lock(halt(1), true).complete(Errno.EINTR);
    step();
    step();
    assertThat(primary.taken).isOne();
    assertThat(primary.held).isZero();
    assertThat(file.held()).isEmpty();
  }

  @Test
  void whoDoesNotWaitIsToldThatItIsTaken() throws Exception {
    primary.refusal = busy();
    CompletableFuture<Integer> answer = open().lock(halt(1), false);
    step();
    assertThat(answer).isCompletedWithValue(Errno.EAGAIN);
    assertThat(tasks).isEmpty();
  }

  @Test
  void whoWaitsTriesAgain() throws Exception {
    primary.refusal = busy();
    CompletableFuture<Integer> answer = open().lock(halt(1), true);
    for (int i = 0; i < 3; i++) {
      step(); // refused
      step(); // after a while
      assertThat(answer).isNotDone();
    }
    primary.refusal = null;
    step();
    assertThat(answer).isCompletedWithValue(0);
  }

  @Test
  void aPrimaryThatCannotBeReachedIsWaitedFor() throws Exception {
    primary.refusal = new IOException("no primary is known");
    CompletableFuture<Integer> waits = open().lock(halt(1), true);
    for (int i = 0; i < 3; i++) {
      step(); // not reached
      step(); // after a while
      assertThat(waits).isNotDone();
    }
  }

  @Test
  void aPrimaryThatCannotBeReachedIsWaitedForForAWhileOnly() throws Exception {
    primary.refusal = new IOException("no primary is known");
    LockFile impatient = file(new LockFile.Patience(Duration.ZERO, Duration.ZERO));
    CompletableFuture<Integer> gaveUp = open(impatient).lock(halt(1), true);
    assertThat(gaveUp).isNotDone();
    step();
    assertThat(gaveUp).isCompletedWithValue(Errno.ENOLCK);
  }

  @Test
  void whoDoesNotWaitIsToldLaterThatThePrimaryCannotBeReached() throws Exception {
    primary.refusal = new IOException("no primary is known");
    CompletableFuture<Integer> answer = open().lock(halt(1), false);
    assertThat(answer).isNotDone();
    step();
    assertThat(answer).isCompletedWithValue(Errno.ENOLCK);
  }

  @Test
  void aWaiterOfANodeThatBecomesPrimaryGetsTheLock() throws Exception {
    primary.refusal = new IOException("no primary is known");
    CompletableFuture<Integer> waits = open().lock(halt(1), true);
    step();
    primary.needed = false;
    step();
    assertThat(waits).isCompletedWithValue(0);
  }

  @Test
  void aHaltLockThatIsLostComesBackByLockingAgain() throws Exception {
    LockingFile handle = open();
    handle.lock(halt(1), true);
    step();
    primary.lost = true;
    assertThat(open().lock(halt(2), false)).isCompletedWithValue(Errno.EAGAIN);
    CompletableFuture<Integer> again = handle.lock(halt(1), true);
    step(); // takes
    assertThat(again).isCompletedWithValue(0);
    step(); // gives the lost one back
    assertThat(primary.taken).isEqualTo(2);
    assertThat(primary.held).isOne();
  }

  @Test
  void makingItAReadLockGivesTheHaltLockBack() throws Exception {
    LockingFile handle = open();
    handle.lock(halt(1), true);
    step();
    assertThat(handle.lock(new RangeLock(72, 72, false, 1, 1), false)).isCompletedWithValue(0);
    step();
    assertThat(primary.held).isZero();
  }

  @Test
  void theEndOfTheNodeGivesEverythingBackAndWaitsForNobody() throws Exception {
    open().lock(halt(1), true);
    step();
    CompletableFuture<Integer> waits = open().lock(halt(2), true);
    CompletableFuture<Integer> closed = file.close();
    assertThat(waits).isCompletedWithValue(Errno.ENOLCK);
    step();
    assertThat(closed).isCompletedWithValue(0);
    assertThat(primary.held).isZero();
    assertThat(open().lock(halt(3), true)).isCompletedWithValue(Errno.ENOLCK);
  }

  @Test
  void whatComesAfterTheEndIsGivenBackToo() throws Exception {
    CompletableFuture<Integer> waits = open().lock(halt(1), true);
    file.close();
    assertThat(waits).isCompletedWithValue(Errno.ENOLCK);
    step();
    assertThat(primary.taken).isOne();
    assertThat(primary.held).isZero();
  }
}

package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Locks of keepers on an ordinary file; they are the same on a mount, since the kernel keeps them.
 */
@Timeout(60)
class KeepersTest {

  private static final Duration SOON = Duration.ofSeconds(20);
  private static final Duration INSTANT = Duration.ofMillis(2);

  @TempDir Path directory;

  private Path path;
  private Keepers keepers;

  @BeforeEach
  void start() throws IOException {
    path = Files.write(directory.resolve("db"), new byte[100]);
    keepers = Keepers.start();
  }

  @AfterEach
  void stop() {
    keepers.close();
  }

  @Test
  void aPosixLockOfAnotherProcessIsInTheWayAndHasAName() throws Exception {
    try (Other other = new Other(path);
        KeeperFile file = open()) {
      assertThat(other.ask("try 10 5 false")).isEqualTo("true");

      assertThat(file.tryLock(LockType.READ, 12, 1)).isFalse();
      assertThat(file.holder(LockType.READ, 12, 1))
          .hasValueSatisfying(
              holder -> {
                assertThat(holder.pid()).isEqualTo((int) other.process.pid());
                assertThat(holder.command()).isEqualTo("java");
                assertThat(holder).hasToString("java (pid " + other.process.pid() + ")");
              });
      assertThat(file.tryLock(LockType.WRITE, 15, 1)).as("beside it").isTrue();

      assertThat(other.ask("unlock")).isEqualTo("ok");
      assertThat(file.tryLock(LockType.READ, 12, 1)).isTrue();
    }
  }

  @Test
  void anotherProcessMeetsAKeepersLock() throws Exception {
    try (Other other = new Other(path)) {
      try (KeeperFile file = open()) {
        assertThat(file.tryLock(LockType.READ, 10, 5)).isTrue();
        assertThat(other.ask("try 10 5 false")).isEqualTo("false");
        assertThat(other.ask("try 10 5 true")).as("shared with shared").isEqualTo("true");
        other.ask("unlock");
      }
      assertThat(other.ask("try 10 5 false")).as("closing has dropped it").isEqualTo("true");
    }
  }

  @Test
  void twoFilesOfOneDaemonExcludeEachOther() throws Exception {
    try (KeeperFile first = open();
        KeeperFile second = open()) {
      assertThat(first.tryLock(LockType.WRITE, 0, 1)).isTrue();
      assertThat(second.tryLock(LockType.WRITE, 0, 1)).isFalse();
      assertThat(second.holder(LockType.WRITE, 0, 1))
          .hasValueSatisfying(holder -> assertThat(holder.pid()).isEqualTo(-1));
      assertThat(second.holder(LockType.WRITE, 1, 1)).isEmpty();
      first.unlock(0, 1);
      assertThat(second.tryLock(LockType.WRITE, 0, 1)).isTrue();
    }
  }

  @Test
  void aLockIsConvertedInPlace() throws Exception {
    try (KeeperFile first = open();
        KeeperFile second = open()) {
      first.tryLock(LockType.READ, 0, 1);
      second.tryLock(LockType.READ, 0, 1);
      assertThat(first.tryLock(LockType.WRITE, 0, 1)).isFalse();
      second.unlock(0, 1);
      assertThat(first.tryLock(LockType.WRITE, 0, 1)).isTrue();
    }
  }

  @Test
  void aWaitEndsWithTheLock() throws Exception {
    try (KeeperFile first = open();
        KeeperFile second = open()) {
      first.tryLock(LockType.WRITE, 0, 1);
      FutureTask<Boolean> waiting = inBackground(() -> second.lock(LockType.WRITE, 0, 1, SOON));
      Await.until("it waits in the kernel", SOON, this::somebodyWaits);
      first.unlock(0, 1);
      assertThat(waiting.get()).isTrue();
      assertThat(first.tryLock(LockType.READ, 0, 1)).isFalse();
    }
  }

  @Test
  void aWaitThatTimesOutLeavesNoLockAndNoThread() throws Exception {
    try (KeeperFile first = open();
        KeeperFile second = open();
        KeeperFile third = open()) {
      first.tryLock(LockType.WRITE, 0, 1);
      int threads = keepers.threads();
      for (int i = 0; i < 200; i++) {
        assertThat(second.lock(LockType.WRITE, 0, 1, INSTANT)).isFalse();
      }
      assertThat(keepers.threads()).isEqualTo(threads);
      assertThat(somebodyWaits()).isFalse();
      first.unlock(0, 1);
      assertThat(third.tryLock(LockType.WRITE, 0, 1))
          .as("second has not got it after all")
          .isTrue();
    }
  }

  @Test
  void aLockGrantedWhileTheWaitTimesOutIsEitherHeldOrNot() throws Exception {
    try (KeeperFile first = open();
        KeeperFile second = open();
        KeeperFile third = open()) {
      for (int i = 0; i < 300; i++) {
        first.tryLock(LockType.WRITE, 0, 1);
        FutureTask<Boolean> waiting =
            inBackground(() -> second.lock(LockType.WRITE, 0, 1, Duration.ofNanos(300_000)));
        long begin = System.nanoTime();
        while (System.nanoTime() - begin < 200_000 + i * 1000) {
          Thread.onSpinWait();
        }
        first.unlock(0, 1);
        boolean held = waiting.get();
        assertThat(third.tryLock(LockType.WRITE, 0, 1)).isEqualTo(!held);
        second.unlock(0, 1);
        third.unlock(0, 1);
      }
    }
  }

  @Test
  void manyWaitsAtATimeHoldNobodyUp() throws Exception {
    try (KeeperFile first = open();
        KeeperFile second = open()) {
      first.tryLock(LockType.WRITE, 0, 50);
      List<FutureTask<Boolean>> waits = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        int at = i;
        waits.add(inBackground(() -> second.lock(LockType.WRITE, at, 1, SOON)));
      }
      Await.until("all wait", SOON, () -> waiters() == 50);
      assertThat(first.tryLock(LockType.WRITE, 60, 1)).isTrue();
      first.unlock(0, 50);
      for (FutureTask<Boolean> wait : waits) {
        assertThat(wait.get()).isTrue();
      }
    }
  }

  @Test
  void closingAFileEndsItsWaits() throws Exception {
    try (KeeperFile first = open()) {
      KeeperFile second = open();
      first.tryLock(LockType.WRITE, 0, 1);
      FutureTask<Boolean> waiting = inBackground(() -> second.lock(LockType.WRITE, 0, 1, SOON));
      Await.until("it waits in the kernel", SOON, this::somebodyWaits);
      second.close();
      assertThatThrownBy(waiting::get)
          .hasRootCauseInstanceOf(ErrnoException.class)
          .hasMessageContaining("EBADF");
      assertThatThrownBy(second::size).hasMessageContaining("EBADF");
    }
  }

  @Test
  void anInterruptEndsAWait() throws Exception {
    try (KeeperFile first = open();
        KeeperFile second = open()) {
      first.tryLock(LockType.WRITE, 0, 1);
      Thread[] waiter = new Thread[1];
      FutureTask<Boolean> stillInterrupted =
          new FutureTask<>(
              () -> {
                assertThatThrownBy(() -> second.lock(LockType.WRITE, 0, 1))
                    .hasMessageContaining("EINTR");
                return Thread.currentThread().isInterrupted();
              });
      waiter[0] = new Thread(stillInterrupted);
      waiter[0].start();
      Await.until("it waits in the kernel", SOON, this::somebodyWaits);
      waiter[0].interrupt();
      assertThat(stillInterrupted.get()).isTrue();
      assertThat(somebodyWaits()).isFalse();
    }
  }

  @Test
  void errorsHaveTheirErrno() {
    assertThatThrownBy(() -> keepers.open(directory.resolve("absent"), PosixFile.O_RDWR, 0))
        .isInstanceOfSatisfying(
            ErrnoException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT));
  }

  @Test
  void sizeIsTheFiles() throws Exception {
    try (KeeperFile file = open()) {
      assertThat(file.size()).isEqualTo(100);
    }
  }

  @Test
  void descriptorsAreNotInTheProcessesTable() throws Exception {
    try (KeeperFile file = open()) {
      try (var descriptors = Files.list(Path.of("/proc/self/fd"))) {
        assertThat(file.size()).isEqualTo(100);
        assertThat(descriptors.map(KeepersTest::target)).doesNotContain(path.toString());
      }
    }
  }

  private static String target(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString();
    } catch (IOException e) {
      return ""; // the one that lists the directory
    }
  }

  private KeeperFile open() throws ErrnoException {
    return keepers.open(path, PosixFile.O_RDWR, 0);
  }

  private boolean somebodyWaits() throws IOException {
    return waiters() > 0;
  }

  private long waiters() throws IOException {
    String inode = ":" + Files.getAttribute(path, "unix:ino") + " ";
    return Files.readAllLines(Path.of("/proc/locks")).stream()
        .filter(line -> line.contains("->") && line.contains(inode))
        .count();
  }

  private static FutureTask<Boolean> inBackground(Callable<Boolean> work) {
    FutureTask<Boolean> task = new FutureTask<>(work);
    new Thread(task).start();
    return task;
  }

  /** A {@link LockingProcess}. */
  private static final class Other implements AutoCloseable {
    final Process process;
    private final BufferedReader answers;
    private final PrintStream commands;

    Other(Path file) throws IOException {
      process = MountedDaemon.Control.java(LockingProcess.class, file.toString());
      answers = new BufferedReader(new InputStreamReader(process.getInputStream()));
      commands = new PrintStream(process.getOutputStream(), true);
    }

    String ask(String command) throws IOException {
      commands.println(command);
      return answers.readLine();
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }
}

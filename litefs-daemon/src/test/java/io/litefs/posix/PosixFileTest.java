package io.litefs.posix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PosixFileTest {

  @TempDir Path directory;

  @Test
  void readsWhatWasWritten() throws Exception {
    try (PosixFile file = create("a")) {
      file.pwrite(buffer(100, 7), 50);
      assertThat(file.size()).isEqualTo(150);
      ByteBuffer into = ByteBuffer.allocateDirect(200);
      into.position(20);
      assertThat(file.preadMost(into, 100)).isEqualTo(50);
      assertThat(into.position()).isEqualTo(70);
      assertThat(into.get(20)).isEqualTo((byte) 7);
      assertThat(file.pread(into, 150)).as("the end").isZero();
    }
  }

  @Test
  void honoursPositionAndLimitOfBuffers() throws Exception {
    try (PosixFile file = create("a")) {
      ByteBuffer from = ByteBuffer.allocateDirect(10);
      for (int i = 0; i < 10; i++) {
        from.put(i, (byte) i);
      }
      file.pwrite(from.slice(2, 6).position(1).limit(4), 0);
      ByteBuffer into = ByteBuffer.allocateDirect(3);
      file.preadFully(into, 0);
      assertThat(new byte[] {into.get(0), into.get(1), into.get(2)}).containsExactly(3, 4, 5);
      assertThat(file.size()).isEqualTo(3);
    }
  }

  @Test
  void refusesAShortFileWhereAllBytesAreNeeded() throws Exception {
    try (PosixFile file = create("a")) {
      file.pwrite(buffer(10, 1), 0);
      assertErrno(Errno.EIO, () -> file.preadFully(ByteBuffer.allocateDirect(20), 0));
    }
  }

  @Test
  void refusesHeapBuffers() throws Exception {
    try (PosixFile file = create("a")) {
      assertThatThrownBy(() -> file.pread(ByteBuffer.allocate(10), 0))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void tellsWhyAFileCannotBeOpened() throws Exception {
    assertErrno(
        Errno.ENOENT, () -> PosixFile.open(directory.resolve("absent"), PosixFile.O_RDONLY, 0));
    assertErrno(Errno.EISDIR, () -> PosixFile.open(directory, PosixFile.O_RDWR, 0));
    create("there").close();
    assertErrno(
        Errno.EEXIST,
        () ->
            PosixFile.open(
                directory.resolve("there"),
                PosixFile.O_RDWR | PosixFile.O_CREAT | PosixFile.O_EXCL,
                0600));
  }

  @Test
  void tellsWhatFailed() {
    assertThatThrownBy(() -> PosixFile.open(directory.resolve("absent"), PosixFile.O_RDONLY, 0))
        .hasMessageContaining("open " + directory.resolve("absent"))
        .hasMessageEndingWith("ENOENT");
  }

  @Test
  void keepsTheErrnoOfAFullDisk() throws Exception {
    assumeTrue(Files.isWritable(Path.of("/proc/1/mem")), "mounting needs root");
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory.toString());
    try (PosixFile file = create("full")) {
      ByteBuffer large = buffer(100_000, 1);
      assertErrno(Errno.ENOSPC, () -> file.pwrite(large, 0));
      assertThat(large.position()).as("what did go in").isPositive();
      assertErrno(Errno.ENOSPC, () -> file.allocate(0, 1 << 20));
    } finally {
      run("umount", "-l", directory.toString());
    }
  }

  @Test
  void keepsTheErrnoOfAReadOnlyDescriptor() throws Exception {
    create("a").close();
    try (PosixFile file = PosixFile.open(directory.resolve("a"), PosixFile.O_RDONLY, 0)) {
      assertErrno(Errno.EBADF, () -> file.pwrite(buffer(1, 1), 0));
      assertErrno(Errno.EINVAL, () -> file.truncate(10));
    }
  }

  @Test
  void allocatesAndCuts() throws Exception {
    try (PosixFile file = create("a")) {
      file.pwrite(buffer(10, 1), 0);
      file.allocate(0, 8192);
      assertThat(file.size()).isEqualTo(8192);
      file.truncate(5);
      assertThat(file.size()).isEqualTo(5);
      file.fdatasync();
      file.fsync();
      file.syncfs();
    }
  }

  @Test
  void isNotInheritedByOtherPrograms() throws Exception {
    try (PosixFile file = create("a")) {
      String descriptor = file.toString().replaceAll(".*descriptor (\\d+).*", "$1");
      assertThat(Files.readString(Path.of("/proc/self/fdinfo", descriptor)))
          .as("O_CLOEXEC among the flags")
          .containsPattern("flags:\\s+0?2\\d{6}\\b");
    }
  }

  @Test
  void failsAfterClose() throws Exception {
    PosixFile file = create("a");
    file.close();
    file.close();
    assertErrno(Errno.EBADF, file::size);
    assertErrno(Errno.EBADF, () -> file.pwrite(buffer(1, 1), 0));
  }

  /** The next file that is opened gets the number of the one that was closed last. */
  @Test
  void neverWritesToADescriptorThatAnotherFileHasNow() throws Exception {
    ExecutorService writers = Executors.newFixedThreadPool(2);
    try {
      for (int round = 0; round < 300; round++) {
        PosixFile file = create("short-lived");
        AtomicLong written = new AtomicLong();
        Runnable writer =
            () -> {
              ByteBuffer data = buffer(10, 1);
              try {
                while (true) {
                  file.pwrite(data.rewind(), 0);
                  written.incrementAndGet();
                }
              } catch (ErrnoException e) {
                assertThat(e.errno()).isEqualTo(Errno.EBADF);
              }
            };
        Future<?> first = writers.submit(writer);
        Future<?> second = writers.submit(writer);
        while (written.get() == 0) {
          Thread.onSpinWait();
        }
        file.close();
        try (PosixFile next = create("innocent")) {
          first.get();
          second.get();
          assertThat(next.size()).isZero();
        }
      }
    } finally {
      writers.shutdownNow();
    }
  }

  private PosixFile create(String name) throws IOException {
    return PosixFile.open(
        directory.resolve(name), PosixFile.O_RDWR | PosixFile.O_CREAT | PosixFile.O_TRUNC, 0644);
  }

  private static ByteBuffer buffer(int length, int value) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(length);
    while (buffer.hasRemaining()) {
      buffer.put((byte) value);
    }
    return buffer.flip();
  }

  private static void assertErrno(int errno, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            ErrnoException.class,
            e -> assertThat(Errno.name(e.errno())).isEqualTo(Errno.name(errno)));
  }

  private static void run(String... command) throws Exception {
    assertThat(new ProcessBuilder(command).inheritIO().start().waitFor()).isZero();
  }
}

package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;

/**
 * A mount point, a data directory, and the processes that a test starts on them; all gone
 * afterwards, however the test ends.
 */
@Timeout(
    value = 90,
    threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // a mount that hangs would hang the build
abstract class MountFixture {

  static final Duration SOON = Duration.ofSeconds(20);

  Path mountPoint;
  Path data;

  private Path home;
  private final List<Process> processes = new ArrayList<>();

  @BeforeEach
  void makeDirectories() throws IOException {
    assumeTrue(
        Files.isWritable(Path.of("/dev/fuse")) && Syscalls.CALLS.geteuid() == 0,
        "needs /dev/fuse and root");
    // In memory where possible: these tests are not about the disk.
    Path shm = Path.of("/dev/shm");
    home =
        Files.isWritable(shm)
            ? Files.createTempDirectory(shm, "litefs-fuse")
            : Files.createTempDirectory("litefs-fuse");
    mountPoint = home.resolve("mount");
    data = Files.createDirectory(home.resolve("data"));
  }

  @AfterEach
  void cleanUp() throws Exception {
    for (Process process : processes) {
      process.destroyForcibly();
    }
    if (mountPoint == null) {
      return;
    }
    for (Optional<MountTable.Entry> mount = MountTable.at(mountPoint);
        mount.isPresent();
        mount = MountTable.at(mountPoint)) {
      // A daemon that hangs ends with this.
      Syscalls.CALLS.umount2(mountPoint.toString(), Syscalls.MNT_FORCE);
      Syscalls.CALLS.umount2(mountPoint.toString(), Syscalls.MNT_DETACH);
    }
    for (Process process : processes) {
      assertThat(process.waitFor(10, TimeUnit.SECONDS)).as("%s ends", process).isTrue();
    }
    try (Stream<Path> files = Files.walk(home)) {
      for (Path path : files.sorted((a, b) -> b.compareTo(a)).toList()) {
        Files.delete(path);
      }
    }
  }

  /** Starts a daemon that has mounted when this returns. */
  MountedDaemon.Control mount() throws IOException {
    MountedDaemon.Control daemon = start();
    assertThat(daemon.greeting).startsWith("MOUNTED");
    return daemon;
  }

  /** Starts a daemon that may refuse. */
  MountedDaemon.Control start() throws IOException {
    MountedDaemon.Control daemon = MountedDaemon.Control.start(mountPoint, data);
    processes.add(daemon.process);
    return daemon;
  }

  Process java(Class<?> main, String... arguments) throws IOException {
    return track(MountedDaemon.Control.java(main, arguments));
  }

  Process track(Process process) {
    processes.add(process);
    return process;
  }

  static String firstLine(Process process) throws IOException {
    return new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))
        .readLine();
  }

  /** Kills with SIGKILL. */
  static boolean endsWithinASecond(Process process) throws InterruptedException {
    process.destroyForcibly();
    return process.waitFor(1, TimeUnit.SECONDS);
  }

  Path file(String name) {
    return mountPoint.resolve(name);
  }

  /** Writes the backing file of a name that the kernel has not seen yet. */
  void given(String name, int value, int length) throws IOException {
    Files.write(data.resolve(name), filled(value, length));
  }

  FileChannel open(String name, OpenOption... options) throws IOException {
    return FileChannel.open(
        file(name),
        options.length == 0
            ? new OpenOption[] {StandardOpenOption.READ, StandardOpenOption.WRITE}
            : options);
  }

  static byte[] read(FileChannel channel, long offset, int length) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(length);
    while (buffer.hasRemaining() && channel.read(buffer, offset + buffer.position()) >= 0) {
      // goes on until the buffer is full or the file ends
    }
    return Arrays.copyOf(buffer.array(), buffer.position());
  }

  static byte[] filled(int value, int length) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }
}

package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What applications do with files, through the kernel. */
class MountOperationsTest extends MountFixture {

  @Test
  void filesAreCreatedWrittenListedRenamedAndRemoved() throws Exception {
    mount();
    Files.write(file("a"), filled(1, 10_000));
    Files.write(file("b"), filled(2, 100));
    assertThat(list()).containsExactlyInAnyOrder("a", "b");
    Files.move(file("a"), file("b"), StandardCopyOption.REPLACE_EXISTING);
    assertThat(Files.readAllBytes(file("b"))).hasSize(10_000).containsOnly(1);
    Files.delete(file("b"));
    assertThat(list()).isEmpty();
    assertThat(Files.exists(file("a"))).isFalse();
  }

  @Test
  void namesBeyondAsciiAreKept() throws Exception {
    mount();
    String name = "bücher-本";
    try {
      Files.write(file(name), filled(1, 10));
    } catch (java.nio.file.InvalidPathException e) {
      return; // this JVM runs in a locale that has no such names
    }
    assertThat(list()).containsExactly(name);
    assertThat(Files.exists(data.resolve(name))).isTrue();
  }

  @Test
  void openingWithTruncateEmptiesTheFile() throws Exception {
    given("a", 1, 1000);
    mount();
    try (FileChannel channel =
        FileChannel.open(
            file("a"),
            StandardOpenOption.WRITE,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING)) {
      assertThat(channel.size()).isZero();
    }
    assertThat(Files.size(data.resolve("a"))).isZero();
  }

  @Test
  void creatingOverAFileThatTheKernelHasNotSeenOpensIt() throws Exception {
    MountedDaemon.Control daemon = mount();
    assertThat(Files.exists(file("a"))).isFalse();
    daemon.ask("write a 0 1 1000"); // the kernel still thinks that there is none
    try (FileChannel channel =
        open("a", StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE)) {
      assertThat(channel.size()).isEqualTo(1000);
      assertThat(read(channel, 0, 1000)).containsOnly(1);
    }
  }

  @Test
  void filesAreTruncatedByPathAndByHandle() throws Exception {
    given("a", 1, 1000);
    mount();
    assertThat(new ProcessBuilder("truncate", "-s", "500", file("a").toString()).start().waitFor())
        .isZero();
    assertThat(Files.size(data.resolve("a"))).isEqualTo(500);
    try (FileChannel channel = open("a")) {
      channel.truncate(100);
      assertThat(channel.size()).isEqualTo(100);
    }
  }

  @Test
  void anExceptionInAHandlerIsAnIoErrorForTheApplication() throws Exception {
    given("explode", 1, 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("explode")) {
      assertThatThrownBy(() -> read(channel, 0, 4096))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("Input/output error");
    }
    assertThat(daemon.ask("total")).as("it lives").isNotNull();
  }

  @Test
  void directoriesAndLinksAreRefused() throws Exception {
    given("a", 1, 10);
    mount();
    assertThatThrownBy(() -> Files.createDirectory(file("d")))
        .isInstanceOf(FileSystemException.class)
        .hasMessageContaining("not permitted");
    assertThatThrownBy(() -> Files.createSymbolicLink(file("s"), Path.of("a")))
        .isInstanceOf(FileSystemException.class);
    assertThatThrownBy(() -> Files.createLink(file("l"), file("a")))
        .isInstanceOf(FileSystemException.class);
    assertThat(new ProcessBuilder("mkfifo", file("p").toString()).start().waitFor()).isNotZero();
    assertThat(list()).containsExactly("a");
  }

  @Test
  void ownerModeAndTimesMayBeSetToNoEffect() throws Exception {
    given("a", 1, 10);
    mount();
    Files.setPosixFilePermissions(file("a"), PosixFilePermissions.fromString("rwxrwxrwx"));
    Files.setAttribute(file("a"), "unix:uid", 12);
    Files.setLastModifiedTime(file("a"), java.nio.file.attribute.FileTime.fromMillis(1000));
    assertThat(Files.getPosixFilePermissions(file("a")))
        .isEqualTo(PosixFilePermissions.fromString("rw-r--r--"));
  }

  @Test
  void freeSpaceIsThatOfTheDataDirectory() throws Exception {
    mount();
    assertThat(Files.getFileStore(file("")).getTotalSpace())
        .isEqualTo(Files.getFileStore(data).getTotalSpace());
  }

  @Test
  void spaceCannotBeReserved() throws Exception {
    mount();
    Files.write(file("a"), filled(1, 10));
    Process fallocate =
        new ProcessBuilder("fallocate", "-l", "1000", file("a").toString())
            .redirectErrorStream(true)
            .start();
    assertThat(new String(fallocate.getInputStream().readAllBytes())).contains("not supported");
  }

  @Test
  void aFileThatIsUnlinkedWhileOpenStaysUsable() throws Exception {
    MountedDaemon.Control daemon = mount();
    Files.write(file("a"), filled(1, 8192));
    try (FileChannel channel = open("a")) {
      Files.delete(file("a"));
      assertThat(list()).as("no .fuse_hidden").isEmpty();
      try (Stream<Path> left = Files.list(data)) {
        assertThat(left).isEmpty();
      }
      assertThat(read(channel, 0, 8192)).containsOnly(1);
      channel.write(ByteBuffer.wrap(filled(2, 100)), 8192);
      assertThat(channel.size()).as("fstat, by node").isEqualTo(8292);
      assertThat(read(channel, 8192, 100)).containsOnly(2);
      channel.force(true);
      channel.truncate(50);
      assertThat(channel.size()).isEqualTo(50);

      Files.write(file("a"), filled(3, 10));
      assertThat(Files.readAllBytes(file("a")))
          .as("a new file of the same name")
          .hasSize(10)
          .containsOnly(3);
      assertThat(read(channel, 0, 100)).hasSize(50).containsOnly(1);
    }
    awaitNoHandles(daemon);
  }

  /** The kernel tells of the last close when close(2) has long returned. */
  private static void awaitNoHandles(MountedDaemon.Control daemon) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!daemon.ask("handles").equals("0")) {
      assertThat(System.nanoTime()).as("handles are released").isLessThan(deadline);
    }
  }

  @Test
  void handlersLearnWhichProcessAsks() throws Exception {
    given("a", 1, 10);
    MountedDaemon.Control daemon = mount();
    Thread other = new Thread(() -> assertThat(open(file("a"))).isTrue());
    other.start(); // not the first thread of this process, whose id is that of the process
    other.join();
    assertThat(daemon.askNumber("latest-pid")).isEqualTo(ProcessHandle.current().pid());
  }

  @Test
  void requestsThatBlockDoNotStopOthers() throws Exception {
    given("bystander", 1, 4096);
    int blocked = 200;
    for (int i = 0; i < blocked; i++) {
      given("slow" + i, 1, 10);
    }
    MountedDaemon.Control daemon = mount();
    CountDownLatch done = new CountDownLatch(blocked);
    for (int i = 0; i < blocked; i++) {
      Path slow = file("slow" + i);
      Thread thread =
          new Thread(
              () -> {
                try (PosixFile file = PosixFile.open(slow, PosixFile.O_RDWR, 0)) {
                  file.fsync();
                  done.countDown();
                } catch (IOException e) {
                  throw new IllegalStateException(e);
                }
              });
      thread.setDaemon(true);
      thread.start();
    }
    Await.until("all are blocked", SOON, () -> daemon.askNumber("slow-waiting") == blocked);

    for (int i = 0; i < 50; i++) {
      assertThat(Files.readAllBytes(file("bystander"))).hasSize(4096);
      Files.write(file("new" + i), filled(1, 10));
    }
    assertThat(done.getCount()).isEqualTo(blocked);

    daemon.ask("slow-go");
    done.await();
    Await.until("the pool shrinks", SOON, () -> shrunk(daemon));
  }

  @Test
  void nothingIsLeftOfJournalsThatCameAndWent() throws Exception {
    MountedDaemon.Control daemon = mount();
    createAndUnlink(20_000);
    daemon.ask("collect");
    long before = residentKilobytes(daemon);
    createAndUnlink(50_000);
    daemon.ask("collect");
    awaitNoHandles(daemon);
    Await.until("the kernel has forgotten them", SOON, () -> daemon.askNumber("nodes") < 100);
    assertThat(residentKilobytes(daemon) - before)
        .as("growth in KiB; 100 bytes each would be 4883")
        .isLessThan(3_000);
  }

  private void createAndUnlink(int times) throws Exception {
    ByteBuffer header = ByteBuffer.allocateDirect(28);
    for (int i = 0; i < times; i++) {
      try (PosixFile file =
          PosixFile.open(file("db-journal"), PosixFile.O_RDWR | PosixFile.O_CREAT, 0644)) {
        if (i % 100 == 0) {
          file.pwrite(header.rewind(), 0);
        }
      }
      Files.delete(file("db-journal"));
    }
  }

  private static long residentKilobytes(MountedDaemon.Control daemon) throws IOException {
    for (String line :
        Files.readAllLines(Path.of("/proc", Long.toString(daemon.process.pid()), "status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new IOException("no VmRSS");
  }

  /** Threads end when they are done and find many idle, so it takes requests to make them. */
  private boolean shrunk(MountedDaemon.Control daemon) throws IOException {
    Files.exists(file("absent" + System.nanoTime()));
    return daemon.askNumber("threads") <= 10;
  }

  private static boolean open(Path path) {
    try (PosixFile file = PosixFile.open(path, PosixFile.O_RDWR, 0)) {
      return file.size() > 0;
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private List<String> list() throws IOException {
    List<String> names = new ArrayList<>();
    try (Stream<Path> files = Files.list(mountPoint)) {
      files.forEach(path -> names.add(path.getFileName().toString()));
    }
    return names;
  }
}

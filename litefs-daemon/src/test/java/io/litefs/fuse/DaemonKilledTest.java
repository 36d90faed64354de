package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * A daemon that is killed is gone, whatever it was doing with its own mount, and the next one can
 * take its place.
 */
class DaemonKilledTest extends MountFixture {

  @Test
  void endsWhenItHoldsALockedFileOfItsMount() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    assertThat(daemon.ask("open db")).isEqualTo("ok");
    assertThat(daemon.ask("trylock db WRITE 0 1")).isEqualTo("true");
    assertThat(endsWithinASecond(daemon.process)).isTrue();
  }

  @Test
  void endsWhenAKeeperWaitsForALock() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    daemon.ask("open db");
    FileChannel application = open("db");
    application.lock(0, 1, false);
    daemon.tell("lock db WRITE 0 1 60000");
    Await.until(
        "the keeper waits in the kernel", SOON, () -> isSomebodyWaitingForALock(file("db")));
    assertThat(endsWithinASecond(daemon.process)).isTrue();
    assertThatThrownBy(application::close).hasMessageContaining("not connected");
  }

  @Test
  void endsWhileKeepersOpenLockAndClose() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    assertThat(daemon.ask("busy-keepers db")).isEqualTo("ok");
    long before = daemon.askNumber("total");
    Await.until("they are at it", SOON, () -> daemon.askNumber("total") > before + 1000);
    assertThat(endsWithinASecond(daemon.process)).isTrue();
  }

  @Test
  void endsWhileItStoresUnderAClientsMapping() throws Exception {
    given("db", 1, 64 * 4096);
    MountedDaemon.Control daemon = mount();
    Process client = java(MappingClient.class, file("db").toString(), "64");
    assertThat(firstLine(client)).isEqualTo("ready");
    assertThat(daemon.ask("storm db 64")).isEqualTo("ok");
    long before = daemon.askNumber("total");
    Await.until(
        "the client reads and writes", SOON, () -> daemon.askNumber("total") > before + 1000);
    assertThat(endsWithinASecond(daemon.process)).isTrue();
  }

  @Test
  void endsWithRequestsInProgress() throws Exception {
    given("slow", 1, 4096);
    MountedDaemon.Control daemon = mount();
    Thread client =
        new Thread(
            () -> {
              try (FileChannel channel = open("slow")) {
                channel.force(true);
              } catch (IOException e) {
                // That is what the application gets.
              }
            });
    client.start();
    Await.until("the request is in progress", SOON, () -> daemon.askNumber("slow-waiting") == 1);
    assertThat(endsWithinASecond(daemon.process)).isTrue();
    client.join();
  }

  @Test
  void endsWhileItWaitsToStoreIntoAPageThatIsBeingRead() throws Exception {
    given("stuck", 1, 4096);
    MountedDaemon.Control daemon = mount();
    Process reader =
        track(
            new ProcessBuilder("cat", file("stuck").toString()).redirectErrorStream(true).start());
    Await.until("the read is in progress", SOON, () -> daemon.askNumber("slow-waiting") == 1);
    daemon.ask("storm stuck 1");
    Await.until(
        "the backing file is written, the store follows",
        SOON,
        () -> Files.readAllBytes(data.resolve("stuck"))[0] == 0);
    assertThat(endsWithinASecond(daemon.process)).isTrue();
    assertThat(reader.waitFor()).isNotZero();
  }

  /** Whoever makes a file has the directory locked until the daemon answers. */
  @Test
  void endsWhileItTellsOfANameAndTheDirectoryIsLocked() throws Exception {
    MountedDaemon.Control daemon = mount();
    assertThat(Files.exists(file("db"))).isFalse();
    Process maker =
        track(
            new ProcessBuilder("touch", file("unborn").toString())
                .redirectErrorStream(true)
                .start());
    Await.until("the file is being made", SOON, () -> daemon.askNumber("slow-waiting") == 1);
    daemon.ask("write db 0 1 4096");
    daemon.tell("entry db");
    if (kernelHasNameEpochs()) {
      assertThat(daemon.nextAnswer()).isEqualTo("ok");
      assertThat(endsWithinASecond(daemon.process)).isTrue();
    } else {
      Await.until(
          "the notification waits in the kernel", SOON, () -> hasAThreadInTheKernel(daemon));
      assertThat(endsWithinASecond(daemon.process)).as("or else docs/fuse.md is wrong").isFalse();
      MountedDaemon.Control second = mount();
      assertThat(daemon.process.waitFor(5, TimeUnit.SECONDS)).isTrue();
      assertThat(second.ask("unmount")).isNotNull();
    }
    assertThat(maker.waitFor()).isNotZero();
  }

  @Test
  void leavesAMountThatTheNextOneReplaces() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control first = mount();
    first.ask("open db");
    assertThat(endsWithinASecond(first.process)).isTrue();
    assertThat(MountTable.at(mountPoint)).isPresent();

    MountedDaemon.Control second = mount();

    assertThat(Files.readAllBytes(file("db"))).containsOnly(1);
    second.ask("unmount");
    assertThat(MountTable.at(mountPoint)).as("none left below").isEmpty();
  }

  @Test
  void isFreedByTheNextOneIfItHangs() throws Exception {
    given("db", 1, 4096);
    // A daemon as one must not build it: it has its mount's file open in the table that /dev/fuse
    // is in.
    Process careless = java(CarelessDaemon.class, mountPoint.toString(), data.toString());
    assertThat(firstLine(careless)).startsWith("holding");
    assertThat(endsWithinASecond(careless)).as("or else keepers are needed no more").isFalse();

    MountedDaemon.Control second = mount();

    assertThat(careless.waitFor(5, TimeUnit.SECONDS)).isTrue();
    assertThat(Files.readAllBytes(file("db"))).containsOnly(1);
    assertThat(second.ask("unmount")).isNotNull();
  }

  /** One that cannot be killed there. */
  private static boolean hasAThreadInTheKernel(MountedDaemon.Control daemon) throws IOException {
    try (Stream<Path> threads = Files.list(Path.of("/proc/" + daemon.process.pid() + "/task"))) {
      for (Path thread : threads.toList()) {
        if (Files.readString(thread.resolve("stat")).contains(") D ")) {
          return true;
        }
      }
      return false;
    }
  }

  /** Linux 6.16 and later. */
  private static boolean kernelHasNameEpochs() {
    String[] release = System.getProperty("os.version").split("\\D+");
    int major = Integer.parseInt(release[0]);
    return major > 6 || (major == 6 && Integer.parseInt(release[1]) >= 16);
  }

  private boolean isSomebodyWaitingForALock(Path file) throws IOException {
    // device and inode as in "2: -> OFDLCK ADVISORY WRITE -1 00:2e:2 0 0"
    String locked =
        ":%02x:%d "
            .formatted(
                MountTable.at(mountPoint).orElseThrow().device(),
                (long) Files.getAttribute(file, "unix:ino"));
    return Files.readAllLines(Path.of("/proc/locks")).stream()
        .anyMatch(line -> line.contains("->") && line.contains(locked));
  }
}

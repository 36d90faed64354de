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

/** Mounting, unmounting, and being told why not. */
class MountLifecycleTest extends MountFixture {

  @Test
  void mountingTakesNoLongerThanTheFirstAnswer() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    daemon.ask("unmount");
    // The second time, so that loading classes on a busy machine is not what is measured.
    assertThat(daemon.askNumber("mount"))
        .as("ms; jnr-fuse's own mount waits 2000")
        .isLessThan(1000);
    assertThat(Files.readAllBytes(file("db"))).containsOnly(1);
  }

  @Test
  void otherProgramsDoNotInheritTheDevice() throws Exception {
    Path process = Path.of("/proc", Long.toString(mount().process.pid()));
    int found = 0;
    try (Stream<Path> descriptors = Files.list(process.resolve("fd"))) {
      for (Path descriptor : descriptors.toList()) {
        if (Files.readSymbolicLink(descriptor).toString().equals("/dev/fuse")) {
          found++;
          assertThat(Files.readString(process.resolve("fdinfo").resolve(descriptor.getFileName())))
              .as("O_CLOEXEC among the flags")
              .containsPattern("flags:\\s+0?2\\d{6}\\b");
        }
      }
    }
    assertThat(found).isEqualTo(1);
  }

  @Test
  void createsTheMountPointAndItsParents() throws Exception {
    mountPoint = mountPoint.resolve("deeper/still");
    mount().ask("unmount");
    assertThat(mountPoint).isEmptyDirectory();
  }

  @Test
  void mountsBehindASymbolicLinkAndOnNamesWithSpaces() throws Exception {
    Path link =
        Files.createSymbolicLink(
            mountPoint.resolveSibling("link"), mountPoint.resolveSibling("with space"));
    Path real = mountPoint.resolveSibling("with space");
    mountPoint = link;
    MountedDaemon.Control daemon = mount();
    assertThat(MountTable.at(real)).isPresent();
    given("a", 1, 10);
    assertThat(Files.readAllBytes(real.resolve("a"))).hasSize(10);
    daemon.ask("unmount");
    assertThat(MountTable.at(real)).isEmpty();
  }

  @Test
  void unmountsAtOnceAndTwice() throws Exception {
    MountedDaemon.Control daemon = mount();
    assertThat(daemon.askNumber("unmount")).isLessThan(1000);
    assertThat(MountTable.at(mountPoint)).isEmpty();
    assertThat(daemon.askNumber("unmount")).isLessThan(100);
    assertThat(daemon.ask("threads")).isEqualTo("0");
  }

  @Test
  void unmountsWhileApplicationsHoldFiles() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    FileChannel held = open("db");
    read(held, 0, 100);

    assertThat(daemon.askNumber("unmount")).isLessThan(2500);

    assertThat(MountTable.at(mountPoint)).isEmpty();
    assertThat(daemon.ask("threads")).isEqualTo("0");
    assertThatThrownBy(() -> held.force(true)).isInstanceOf(IOException.class);
    assertThatThrownBy(held::close).isInstanceOf(IOException.class);
    assertThat(mountPoint).isEmptyDirectory();
  }

  @Test
  void unmountsWhileItsOwnKeepersHoldFiles() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    daemon.ask("open db");
    daemon.ask("trylock db WRITE 0 1");
    assertThat(daemon.askNumber("unmount")).isLessThan(1000);
    assertThat(MountTable.at(mountPoint)).isEmpty();
    assertThat(daemon.ask("trylock db WRITE 0 1")).contains("EBADF");
  }

  @Test
  void unmountsWhileARequestDoesNotReturn() throws Exception {
    given("slow", 1, 10);
    MountedDaemon.Control daemon = mount();
    Thread client =
        new Thread(
            () -> {
              try (FileChannel channel = open("slow")) {
                channel.force(true);
              } catch (IOException e) {
                // The connection ends with the process.
              }
            });
    client.start();
    Await.until("the request is in progress", SOON, () -> daemon.askNumber("slow-waiting") == 1);
    assertThat(daemon.askNumber("unmount")).isLessThan(15_000);
    assertThat(MountTable.at(mountPoint)).isEmpty();
    daemon.close();
    client.join();
  }

  @Test
  void notificationsAfterTheUnmountAreNoOps() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    Files.readAllBytes(file("db"));
    daemon.ask("unmount");
    assertThat(daemon.ask("store db 0 1 100")).isEqualTo("ok");
    assertThat(daemon.ask("invalidate db")).isEqualTo("ok");
    assertThat(daemon.ask("entry db")).isEqualTo("ok");
  }

  @Test
  void notificationsUnderWayDoNotDisturbTheUnmount() throws Exception {
    given("db", 1, 64 * 4096);
    MountedDaemon.Control daemon = mount();
    Files.readAllBytes(file("db"));
    daemon.ask("storm db 64");
    assertThat(daemon.askNumber("unmount")).isLessThan(2000);
    assertThat(daemon.ask("threads")).as("the daemon lives").isEqualTo("0");
  }

  @Test
  void leavesNoMountWhenTerminated() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    FileChannel held = open("db");
    daemon.process.destroy();
    assertThat(daemon.process.waitFor(5, TimeUnit.SECONDS)).isTrue();
    assertThat(MountTable.at(mountPoint)).isEmpty();
    assertThatThrownBy(held::close).isInstanceOf(IOException.class);
  }

  @Test
  void survivesAnUnmountFromOutside() throws Exception {
    MountedDaemon.Control daemon = mount();
    assertThat(new ProcessBuilder("umount", mountPoint.toString()).inheritIO().start().waitFor())
        .isZero();
    Await.until("the loop ends", SOON, () -> daemon.askNumber("threads") == 0);
    assertThat(daemon.askNumber("unmount")).isLessThan(1000);
  }

  @Test
  void refusesAMountPointThatALivingLitefsUses() throws Exception {
    MountedDaemon.Control first = mount();
    MountedDaemon.Control second = start();
    assertThat(second.greeting)
        .startsWith("REFUSED cannot mount on " + mountPoint)
        .contains("another litefs is running on it (pid " + first.process.pid());
    assertThat(first.ask("total")).isNotNull();
    assertThat(Files.exists(file("absent"))).isFalse();
  }

  @Test
  void refusesAMountPointThatAnotherFilesystemUses() throws Exception {
    Files.createDirectory(mountPoint);
    assertThat(
            new ProcessBuilder("mount", "-t", "tmpfs", "somename", mountPoint.toString())
                .start()
                .waitFor())
        .isZero();
    assertThat(start().greeting).startsWith("REFUSED").contains("type tmpfs (somename)");
  }

  @Test
  void refusesADirectoryThatIsNotEmpty() throws Exception {
    Files.createDirectory(mountPoint);
    Files.write(mountPoint.resolve("precious.db"), new byte[1]);
    assertThat(start().greeting).startsWith("REFUSED").contains("not empty (precious.db)");
  }

  @Test
  void refusesAFile() throws Exception {
    Files.write(mountPoint, new byte[1]);
    assertThat(start().greeting).startsWith("REFUSED").contains("is not a directory");
  }
}

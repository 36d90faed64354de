package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the kernel answers by itself, and how the daemon's changes get there. */
class MountCacheTest extends MountFixture {

  @Test
  @Timeout(60)
  void readsOfACachedFileSendNoRequest() throws Exception {
    given("db", 1, 64 * 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("db")) {
      // What the kernel reads ahead may come late, and makes it ask for the attributes again.
      String before;
      do {
        before = daemon.ask("counters");
        readAndLookAt(channel);
      } while (!daemon.ask("counters").equals(before));
      for (int i = 0; i < 100; i++) {
        readAndLookAt(channel);
      }
      assertThat(daemon.ask("counters")).isEqualTo(before);
    }
  }

  private void readAndLookAt(FileChannel channel) throws IOException {
    assertThat(read(channel, 0, 64 * 4096)).containsOnly(1);
    channel.size();
    assertThat(Files.exists(file("db"))).isTrue(); // an ACCESS, answered with "never ask again"
  }

  @Test
  void locksSendNoRequest() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("db")) {
      channel.lock(0, 1, true).release(); // Java asks for the inode first
      String before = daemon.ask("counters");
      for (int i = 0; i < 100; i++) {
        channel.lock(0x40000000, 1, false).release();
      }
      assertThat(daemon.ask("counters")).isEqualTo(before);
    }
  }

  @Test
  void pagesStayCachedAcrossOpens() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    assertThat(Files.readAllBytes(file("db"))).containsOnly(1);
    assertThat(daemon.ask("write db 0 2 4096")).isEqualTo("ok");
    assertThat(Files.readAllBytes(file("db"))).as("nobody told the kernel").containsOnly(1);
    assertThat(daemon.ask("invalidate db")).isEqualTo("ok");
    assertThat(Files.readAllBytes(file("db"))).containsOnly(2);
  }

  @Test
  void directFilesAreReadFromTheDaemonEveryTime() throws Exception {
    given("direct", 1, 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("direct")) {
      assertThat(read(channel, 0, 4096)).containsOnly(1);
      daemon.ask("write direct 0 2 4096");
      assertThat(read(channel, 0, 4096)).containsOnly(2);
      assertThatThrownBy(() -> channel.map(MapMode.READ_WRITE, 0, 4096))
          .isInstanceOf(IOException.class);
    }
  }

  @Test
  void anAbsentNameIsRememberedUntilTheDaemonSaysOtherwise() throws Exception {
    MountedDaemon.Control daemon = mount();
    assertThat(Files.exists(file("db-wal"))).isFalse();
    long before = daemon.askNumber("total");
    daemon.ask("write db-wal 0 1 100");
    assertThat(Files.exists(file("db-wal"))).isFalse();
    assertThat(daemon.askNumber("total")).isEqualTo(before);

    daemon.ask("entry db-wal");

    assertThat(Files.size(file("db-wal"))).isEqualTo(100);
  }

  @Test
  void aNameThatVanishesIsGoneOnceTheDaemonSaysSo() throws Exception {
    given("db-journal", 1, 100);
    MountedDaemon.Control daemon = mount();
    assertThat(Files.exists(file("db-journal"))).isTrue();
    daemon.ask("delete db-journal");
    daemon.ask("entry db-journal");
    assertThat(Files.exists(file("db-journal"))).isFalse();
  }

  /** As SQLite makes its journal anew while the name of the last one is being forgotten. */
  @Test
  void aNameThatTheKernelStillRemembersCanBeMadeAnewOrIsNotThere() throws Exception {
    given("db-journal", 1, 100);
    MountedDaemon.Control daemon = mount();
    assertThat(Files.exists(file("db-journal"))).isTrue();
    daemon.ask("delete db-journal");
    assertThatThrownBy(() -> open("db-journal")).isInstanceOf(NoSuchFileException.class);

    given("db-journal", 1, 100);
    daemon.ask("entry db-journal");
    assertThat(Files.exists(file("db-journal"))).isTrue();
    daemon.ask("delete db-journal");
    try (FileChannel made =
        FileChannel.open(file("db-journal"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      assertThat(made.size()).isZero();
    }
  }

  @Test
  void aFileThatReplacesAVanishedOneIsANewFile() throws Exception {
    given("db", 1, 3 * 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel old = open("db")) {
      assertThat(read(old, 0, 4096)).containsOnly(1);
      Object oldInode = Files.getAttribute(file("db"), "unix:ino");
      daemon.ask("delete db");
      daemon.ask("entry db");
      daemon.ask("write db 0 2 4096");
      daemon.ask("entry db");

      assertThat(Files.getAttribute(file("db"), "unix:ino")).isNotEqualTo(oldInode);
      assertThat(Files.readAllBytes(file("db"))).hasSize(4096).containsOnly(2);
      assertThat(read(old, 0, 3 * 4096))
          .as("the old file, for who has it open")
          .hasSize(3 * 4096)
          .containsOnly(1);
    }
  }

  /** As an application makes an index while the database is dropped and another one comes. */
  @Test
  void aFileThatReplacesOneThatVanishedWhileItWasMadeIsANewFile() throws Exception {
    MountedDaemon.Control daemon = mount();
    FutureTask<FileChannel> making =
        new FutureTask<>(
            () ->
                open(
                    "newborn",
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE,
                    StandardOpenOption.CREATE));
    Thread maker = new Thread(making);
    maker.setDaemon(true);
    maker.start();
    Await.until("it is being made", SOON, () -> daemon.askNumber("slow-waiting") == 1);
    daemon.ask("delete newborn");
    daemon.ask("entry-later newborn");
    Await.until(
        "it waits, or has nothing to wait for",
        SOON,
        () -> List.of("WAITING", "TERMINATED").contains(daemon.ask("entry-state")));
    daemon.ask("slow-go");
    try (FileChannel old = making.get()) {
      Await.until("it is told", SOON, () -> daemon.ask("entry-state").equals("TERMINATED"));
      daemon.ask("write newborn 0 2 4096");
      daemon.ask("entry newborn");

      assertThat(Files.readAllBytes(file("newborn"))).hasSize(4096).containsOnly(2);
      assertThat(read(old, 0, 4096).length).as("bytes of the old file").isZero();
    }
  }

  /** After a new epoch the kernel forgets each name when it meets it next. */
  @Test
  void namesVanishWhileTheKernelForgetsThem() throws Exception {
    MountedDaemon.Control daemon = mount();
    List<String> names = IntStream.range(0, 8).mapToObj(i -> "db" + i).toList();
    AtomicBoolean done = new AtomicBoolean();
    Thread onlooker =
        new Thread(
            () -> {
              while (!done.get()) {
                names.forEach(name -> Files.exists(file(name)));
              }
            });
    onlooker.start();
    try {
      for (int round = 0; round < 500; round++) {
        for (String name : names) {
          given(name, round, 1);
          daemon.tell("entry " + name);
        }
        for (String name : names) {
          assertThat(daemon.nextAnswer()).isEqualTo("ok");
          assertThat(Files.exists(file(name))).isTrue();
        }
        for (String name : names) {
          Files.delete(data.resolve(name));
          daemon.tell("entry " + name);
        }
        for (String name : names) {
          assertThat(daemon.nextAnswer()).isEqualTo("ok");
          assertThat(Files.exists(file(name))).isFalse();
        }
      }
    } finally {
      done.set(true);
      onlooker.join();
    }
  }

  @Test
  void aFileCanTakeANameThatVanishedAndThatTheKernelHasForgotten() throws Exception {
    given("old", 1, 1);
    given("new", 2, 1);
    MountedDaemon.Control daemon = mount();
    assertThat(Files.exists(file("old"))).isTrue();
    Files.delete(data.resolve("old"));
    daemon.ask("entry another");
    assertThat(Files.exists(file("old"))).isFalse();
    Await.until("it is forgotten", SOON, () -> daemon.askNumber("nodes") == 0);
    Files.move(file("new"), file("old"));
    assertThat(Files.readAllBytes(file("old"))).containsOnly(2);
  }

  @Test
  void anEntryInvalidatedForNothingKeepsItsInode() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel opened =
        open("db")) { // else the kernel may have forgotten the inode meanwhile
      Object inode = Files.getAttribute(file("db"), "unix:ino");
      daemon.ask("entry db");
      assertThat(Files.getAttribute(file("db"), "unix:ino"))
          .as("another inode would not share its locks")
          .isEqualTo(inode);
      assertThat(opened.size()).isEqualTo(4096);
    }
  }

  @Test
  void aStoreIsSeenByMappingsAndReads() throws Exception {
    given("db", 1, 2 * 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("db")) {
      MappedByteBuffer map = channel.map(MapMode.READ_ONLY, 0, 2 * 4096);
      assertThat(map.get(5000)).isEqualTo((byte) 1);
      assertThat(daemon.ask("store db 4000 7 2000")).isEqualTo("ok");
      assertThat(new byte[] {map.get(3999), map.get(4000), map.get(5999), map.get(6000)})
          .containsExactly(1, 7, 7, 1);
      assertThat(read(channel, 4000, 2000)).containsOnly(7);
    }
  }

  @Test
  void aStoreBeyondTheEndGrowsTheFileAndKeepsWhatIsCached() throws Exception {
    given("db-wal", 1, 64 * 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("db-wal")) {
      assertThat(read(channel, 0, 64 * 4096)).hasSize(64 * 4096);
      assertThat(daemon.ask("store db-wal " + 64 * 4096 + " 7 4096")).isEqualTo("ok");
      assertThat(channel.size()).isEqualTo(65 * 4096);
      String before = daemon.ask("counters");
      assertThat(read(channel, 0, 65 * 4096)).hasSize(65 * 4096).endsWith(7);
      assertThat(daemon.ask("counters")).isEqualTo(before);
    }
  }

  @Test
  void aStoreOfManyMegabytesArrives() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("db")) {
      read(channel, 0, 4096);
      assertThat(daemon.ask("store db 100 7 5000000")).isEqualTo("ok");
      assertThat(read(channel, 0, 100)).containsOnly(1);
      assertThat(read(channel, 100, 5_000_000)).hasSize(5_000_000).containsOnly(7);
    }
  }

  @Test
  void aStoreKeepsWhatAClientHasWrittenElsewhereInThePage() throws Exception {
    given("db-shm", 1, 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("db-shm")) {
      MappedByteBuffer map = channel.map(MapMode.READ_WRITE, 0, 4096);
      map.put(10, (byte) 9);
      assertThat(daemon.ask("store db-shm 100 7 50")).isEqualTo("ok");
      assertThat(new byte[] {map.get(10), map.get(99), map.get(100), map.get(149), map.get(150)})
          .containsExactly(9, 1, 7, 7, 1);
      map.force();
      byte[] backing = Files.readAllBytes(data.resolve("db-shm"));
      assertThat(new byte[] {backing[10], backing[100]}).containsExactly(9, 7);
    }
  }

  @Test
  void aFileTruncatedBehindTheKernelIsShorterOnceInvalidated() throws Exception {
    given("db", 1, 3 * 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("db")) {
      read(channel, 0, 3 * 4096);
      daemon.ask("truncate db 4096");
      daemon.ask("invalidate db");
      assertThat(channel.size()).isEqualTo(4096);
      assertThat(read(channel, 0, 3 * 4096)).hasSize(4096);
    }
  }

  @Test
  void attributesAreAskedAgainOnceInvalidated() throws Exception {
    given("db", 1, 100);
    MountedDaemon.Control daemon = mount();
    assertThat(Files.size(file("db"))).isEqualTo(100);
    daemon.ask("truncate db 50");
    assertThat(Files.size(file("db"))).isEqualTo(100);
    daemon.ask("attributes db");
    assertThat(Files.size(file("db"))).isEqualTo(50);
  }

  @Test
  void aSizeLearntWithANameIsNotTrusted() throws Exception {
    given("db-wal", 1, 100);
    MountedDaemon.Control daemon = mount();
    // Opening looks the name up but needs no size; a store can come between the reply and the
    // kernel's taking note of it.
    try (FileChannel channel = open("db-wal")) {
      daemon.ask("truncate db-wal 200");
      assertThat(channel.size()).isEqualTo(200);
    }
  }

  @Test
  void theKernelsWritesReachTheDaemonWholeUpTo128Kib() throws Exception {
    given("db", 1, 4096);
    MountedDaemon.Control daemon = mount();
    try (FileChannel channel = open("db")) {
      channel.write(ByteBuffer.wrap(filled(3, 128 * 1024)), 0);
    }
    assertThat(daemon.ask("counters")).contains("write=1}");
    assertThat(Files.readAllBytes(data.resolve("db"))).hasSize(128 * 1024).containsOnly(3);
  }
}

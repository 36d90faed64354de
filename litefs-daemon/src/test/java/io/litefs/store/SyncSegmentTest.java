package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SyncSegmentTest {

  @TempDir Path dir;
  private final Random random = new Random(7);
  private final List<Runnable> background = new ArrayList<>();

  private Path path() {
    return dir.resolve("segment");
  }

  private PosixFile file(int bytes) throws IOException {
    byte[] content = new byte[bytes];
    random.nextBytes(content);
    Path file = Files.createTempFile(dir, "f", ".ltx");
    Files.write(file, content);
    return PosixFile.open(file, PosixFile.O_RDWR, 0);
  }

  private static ByteBuffer content(PosixFile file) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(file.path()));
  }

  private List<ByteBuffer> saved() throws IOException {
    return SyncSegment.read(path()).stream().map(SyncSegment.Saved::content).toList();
  }

  @Test
  void readsBackWhatWasWrittenInOrder() throws IOException {
    SyncSegment segment = new SyncSegment(path(), dir, background::add, new LogDisk());
    PosixFile a = file(1);
    PosixFile b = file(4097);
    PosixFile c = file(20_000);
    assertThat(segment.write(List.of(a, b))).isTrue();
    assertThat(segment.write(List.of(c))).isTrue();
    assertThat(saved()).containsExactly(content(a), content(b), content(c));
  }

  @Test
  void aHalfIsFilledAgainOnlyWhenItsFilesAreOnDisk() throws IOException {
    SyncSegment segment = new SyncSegment(path(), dir, background::add, new LogDisk());
    PosixFile each = file(200_000);
    int fitInHalf = SyncSegment.HALF_BYTES / 200_024;
    for (int i = 0; i < 2 * fitInHalf; i++) {
      assertThat(segment.write(List.of(each))).as("write %d", i).isTrue();
    }
    assertThat(background).hasSize(1);
    assertThat(segment.write(List.of(each))).as("before the first half is on disk").isFalse();
    background.remove(0).run();
    PosixFile last = file(199_999);
    assertThat(segment.write(List.of(last))).isTrue();
    // The rest of the half's former use does not count, and what is newest comes last.
    List<ByteBuffer> saved = saved();
    assertThat(saved).hasSize(fitInHalf + 1);
    assertThat(saved.get(fitInHalf)).isEqualTo(content(last));
  }

  @Test
  void stopsAtATornRecord() throws IOException {
    SyncSegment segment = new SyncSegment(path(), dir, background::add, new LogDisk());
    PosixFile first = file(3000);
    segment.write(List.of(first));
    segment.write(List.of(file(3000)));
    byte[] bytes = Files.readAllBytes(path());
    bytes[3024 + 24 + 2000] ^= 1;
    Files.write(path(), bytes);
    assertThat(saved()).containsExactly(content(first));
  }

  @Test
  void leavesWhatIsLargeToItsOwnSync() throws IOException {
    SyncSegment segment = new SyncSegment(path(), dir, background::add, new LogDisk());
    assertThat(segment.write(List.of(file(300_000)))).isFalse();
    assertThat(path()).doesNotExist();
  }

  @Test
  void isGoneOnceDiscarded() throws IOException {
    SyncSegment segment = new SyncSegment(path(), dir, background::add, new LogDisk());
    segment.write(List.of(file(10)));
    segment.discard();
    assertThat(saved()).isEmpty();
    PosixFile next = file(11);
    assertThat(segment.write(List.of(next))).isTrue();
    assertThat(saved()).containsExactly(content(next));
  }

  @Test
  void hostileLengthsEndIt() throws IOException {
    SyncSegment segment = new SyncSegment(path(), dir, background::add, new LogDisk());
    segment.write(List.of(file(100)));
    byte[] bytes = Files.readAllBytes(path());
    for (int length : new int[] {Integer.MAX_VALUE, -1, 0, Integer.MIN_VALUE}) {
      ByteBuffer.wrap(bytes).putInt(4, length);
      Files.write(path(), bytes);
      assertThat(saved()).as("length %d", length).isEmpty();
    }
  }

  @Test
  void itsInodeIsNotInABlockWithThatOfTheLogsDirectory() throws IOException {
    // One in sixteen directories has the last inode of a block.
    for (String each : List.of("a", "b", "c")) {
      Path log = Files.createDirectories(dir.resolve(each).resolve("ltx"));
      Path path = log.resolveSibling("segment");
      SyncSegment segment = new SyncSegment(path, log, background::add, new LogDisk());
      assertThat(segment.write(List.of(file(1)))).isTrue();
      assertThat(inode(path) / 16).isNotEqualTo(inode(log) / 16);
      assertThat(path.getParent()).isDirectoryContaining(path::equals);
    }
  }

  private static long inode(Path file) throws IOException {
    return ((Number) Files.getAttribute(file, "unix:ino")).longValue();
  }
}

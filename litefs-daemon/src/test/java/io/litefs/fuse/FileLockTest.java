package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FileLockTest {

  private static final Map<Long, String> NAMES = Map.of(5L, "app.db", 7L, "app.db-shm");

  private static List<FileLock> parse(String... lines) {
    return FileLock.parse(List.of(lines), 0x31, NAMES::get, pid -> "process " + pid);
  }

  @Test
  void readsHeldAndAwaitedLocksOfTheMountAlone() {
    assertThat(
            parse(
                "1: POSIX  ADVISORY  WRITE 4711 00:31:5 1073741825 1073741825",
                "1: -> POSIX  ADVISORY  WRITE 4712 00:31:5 1073741825 1073741825",
                "2: OFDLCK ADVISORY  READ  -1 00:31:7 123 EOF",
                "3: POSIX  ADVISORY  WRITE 4711 00:32:5 0 EOF",
                "4: POSIX  ADVISORY  WRITE 4711 fe:31:5 0 EOF",
                "5: FLOCK  ADVISORY  WRITE 4711 00:31:5 0 EOF"))
        .containsExactly(
            new FileLock(
                "app.db",
                true,
                false,
                1073741825,
                1073741825,
                new LockHolder(4711, "process 4711")),
            new FileLock(
                "app.db", true, true, 1073741825, 1073741825, new LockHolder(4712, "process 4712")),
            new FileLock(
                "app.db-shm", false, false, 123, Long.MAX_VALUE, new LockHolder(-1, "process -1")));
  }

  @Test
  void leavesOutFilesWithoutANameAndLinesOfOtherForms() {
    assertThat(parse("1: POSIX  ADVISORY  WRITE 4711 00:31:9 0 EOF", "", "2: LEASE ACTIVE"))
        .isEmpty();
  }
}

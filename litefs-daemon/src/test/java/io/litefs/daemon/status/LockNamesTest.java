package io.litefs.daemon.status;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.daemon.status.NodeStatus.NamedLock;
import io.litefs.fuse.FileLock;
import io.litefs.fuse.LockHolder;
import io.litefs.sqlite.LockBytes;
import java.util.List;
import org.junit.jupiter.api.Test;

class LockNamesTest {

  private static List<String> names(String file, boolean write, long first, long last) {
    FileLock lock = new FileLock(file, write, false, first, last, new LockHolder(1, "a"));
    return LockNames.byDatabase(List.of(lock), "app.db"::equals)
        .getOrDefault("app.db", List.of())
        .stream()
        .map(NamedLock::name)
        .toList();
  }

  @Test
  void locksOfTheDatabaseFileHaveTheNamesOfSqlitesStates() {
    long shared = LockBytes.SHARED_FIRST;
    long end = shared + LockBytes.SHARED_LENGTH - 1;
    assertThat(names("app.db", false, shared, end)).containsExactly("SHARED");
    assertThat(names("app.db", true, LockBytes.RESERVED, LockBytes.RESERVED))
        .containsExactly("RESERVED");
    assertThat(names("app.db", true, LockBytes.PENDING, LockBytes.RESERVED))
        .containsExactly("PENDING");
    assertThat(names("app.db", true, LockBytes.PENDING, end)).containsExactly("EXCLUSIVE");
  }

  @Test
  void joinedRangesOfTheIndexAreTakenApart() {
    assertThat(names("app.db-shm", true, 120, 121)).containsExactly("WAL_WRITE", "WAL_CKPT");
    assertThat(names("app.db-shm", false, 127, 128)).containsExactly("WAL_READ4", "WAL_OPEN");
  }

  @Test
  void theHaltLockIsOneByte() {
    assertThat(names("app.db-lock", true, 72, 72)).containsExactly("HALT");
    assertThat(names("app.db-lock", true, 0, 71)).isEmpty();
  }

  @Test
  void aDatabaseThatIsNamedLikeACompanionIsADatabase() {
    FileLock lock =
        new FileLock(
            "x-shm", true, false, LockBytes.RESERVED, LockBytes.RESERVED, new LockHolder(1, "a"));
    assertThat(LockNames.byDatabase(List.of(lock), "x-shm"::equals)).containsOnlyKeys("x-shm");
  }
}

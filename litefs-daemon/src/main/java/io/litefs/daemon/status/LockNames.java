package io.litefs.daemon.status;

import io.litefs.daemon.status.NodeStatus.NamedLock;
import io.litefs.fuse.FileLock;
import io.litefs.mount.FileName;
import io.litefs.sqlite.LockBytes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

/** Gives ranges of locked bytes the names that SQLite has for them. */
final class LockNames {

  /** The byte of {@code <db>-lock} that {@code litefs run -with-halt-lock-on} takes. */
  private static final long HALT = 72;

  private static final long SHARED_LAST = LockBytes.SHARED_FIRST + LockBytes.SHARED_LENGTH - 1;

  private LockNames() {}

  /**
   * The locks by database.
   *
   * @param exists whether a database of this name exists
   */
  static Map<String, List<NamedLock>> byDatabase(List<FileLock> locks, Predicate<String> exists) {
    Map<String, List<NamedLock>> byDatabase = new TreeMap<>();
    for (FileLock lock : locks) {
      FileName file = FileName.parse(lock.file(), exists);
      List<String> names =
          switch (file.kind()) {
            case DATABASE -> ofDatabase(lock);
            case SHM -> ofShm(lock);
            case LOCK -> covers(lock, HALT, HALT) ? List.of("HALT") : List.of();
            default -> List.of();
          };
      for (String name : names) {
        byDatabase
            .computeIfAbsent(file.database(), db -> new ArrayList<>())
            .add(
                new NamedLock(
                    name,
                    lock.write(),
                    lock.waiting(),
                    lock.holder().pid(),
                    lock.holder().command()));
      }
    }
    return byDatabase;
  }

  /**
   * The kernel joins neighbouring ranges of one holder, so EXCLUSIVE comes with PENDING and
   * RESERVED in one; the strongest name says it all.
   */
  private static List<String> ofDatabase(FileLock lock) {
    boolean shared = covers(lock, LockBytes.SHARED_FIRST, SHARED_LAST);
    if (shared) {
      return List.of(lock.write() ? "EXCLUSIVE" : "SHARED");
    }
    if (covers(lock, LockBytes.PENDING, LockBytes.PENDING)) {
      return List.of("PENDING");
    }
    return covers(lock, LockBytes.RESERVED, LockBytes.RESERVED) ? List.of("RESERVED") : List.of();
  }

  private static List<String> ofShm(FileLock lock) {
    List<String> names = new ArrayList<>();
    add(names, lock, LockBytes.WAL_WRITE, "WAL_WRITE");
    add(names, lock, LockBytes.WAL_CHECKPOINT, "WAL_CKPT");
    add(names, lock, LockBytes.WAL_RECOVER, "WAL_RECOVER");
    for (int slot = 0; slot < LockBytes.WAL_READERS; slot++) {
      add(names, lock, LockBytes.walRead(slot), "WAL_READ" + slot);
    }
    add(names, lock, LockBytes.SHM_DMS, "WAL_OPEN");
    return names;
  }

  private static void add(List<String> names, FileLock lock, long lockByte, String name) {
    if (covers(lock, lockByte, lockByte)) {
      names.add(name);
    }
  }

  /** Whether any of these bytes is in the lock's range. */
  private static boolean covers(FileLock lock, long first, long last) {
    return lock.first() <= last && lock.last() >= first;
  }
}

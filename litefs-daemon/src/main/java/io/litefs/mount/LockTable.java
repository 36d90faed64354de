package io.litefs.mount;

import io.litefs.fuse.RangeLock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The byte-range locks that are held on one file, with the rules of fcntl(2): an owner has at most
 * one lock on a byte, a new one replaces what it had there, and giving up the middle of a lock
 * leaves its ends.
 *
 * <p>Not thread-safe.
 */
final class LockTable {

  /** Far more than any program has on such a file. */
  static final int MAX_LOCKS = 1024;

  /**
   * @param handle what the lock was taken through
   */
  private record Held(RangeLock lock, Object handle) {}

  private final List<Held> held = new ArrayList<>();

  /** The first lock that keeps {@code wanted} from being taken. */
  Optional<RangeLock> conflict(RangeLock wanted) {
    return held.stream()
        .map(Held::lock)
        .filter(wanted::conflictsWith)
        .min(Comparator.comparingLong(RangeLock::first));
  }

  /** Whether there is room for one more. */
  boolean isFull() {
    return held.size() >= MAX_LOCKS;
  }

  /** Takes a lock that has no conflict. */
  void take(RangeLock lock, Object handle) {
    giveUp(lock);
    held.add(new Held(lock, handle));
  }

  /** Gives up what the owner of {@code range} has on its bytes. */
  void giveUp(RangeLock range) {
    for (Held one : List.copyOf(held)) {
      RangeLock lock = one.lock();
      if (lock.owner() != range.owner()
          || lock.last() < range.first()
          || range.last() < lock.first()) {
        continue;
      }
      held.remove(one);
      if (lock.first() < range.first()) {
        held.add(new Held(lock.on(lock.first(), range.first() - 1), one.handle()));
      }
      if (range.last() < lock.last()) {
        held.add(new Held(lock.on(range.last() + 1, lock.last()), one.handle()));
      }
    }
  }

  void giveUpAllOf(long owner) {
    held.removeIf(one -> one.lock().owner() == owner);
  }

  /** Gives up what was taken through {@code handle}. */
  void giveUpAllThrough(Object handle) {
    held.removeIf(one -> one.handle() == handle);
  }

  /** The exclusive lock on a byte. */
  Optional<RangeLock> writer(long at) {
    return held.stream().map(Held::lock).filter(lock -> lock.write() && lock.covers(at)).findAny();
  }

  List<RangeLock> all() {
    return held.stream().map(Held::lock).toList();
  }
}

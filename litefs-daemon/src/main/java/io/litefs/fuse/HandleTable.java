package io.litefs.fuse;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * The open handles, by the number that the kernel keeps for us. Thread-safe; reading takes no lock.
 */
final class HandleTable {

  /**
   * An open file and what it was opened as. The node is unknown (0) while a CREATE is being
   * answered.
   */
  static final class Handle {
    final OpenFile file;
    final String name;
    final OpenFile.CachePolicy policy;
    volatile long node;

    Handle(OpenFile file, String name, long node) {
      this.file = file;
      this.name = name;
      this.policy = file.cachePolicy();
      this.node = node;
    }
  }

  private final ArrayDeque<Integer> free = new ArrayDeque<>();
  private volatile Handle[] handles = new Handle[64];
  private int used;

  /** The new handle's number, at least 1. */
  synchronized long add(Handle handle) {
    Integer slot = free.pollFirst();
    if (slot == null) {
      if (used == handles.length) {
        handles = Arrays.copyOf(handles, 2 * used);
      }
      slot = used++;
    }
    Handle[] table = handles;
    table[slot] = handle;
    handles = table; // publishes the element
    return slot + 1L;
  }

  Handle get(long number) throws ErrnoException {
    Handle[] table = handles;
    Handle handle = number >= 1 && number <= table.length ? table[(int) number - 1] : null;
    if (handle == null) {
      throw new ErrnoException(Errno.EBADF, "handle " + number);
    }
    return handle;
  }

  /** The handle that had the number, or null. */
  synchronized Handle remove(long number) {
    Handle[] table = handles;
    if (number < 1 || number > table.length || table[(int) number - 1] == null) {
      return null;
    }
    Handle handle = table[(int) number - 1];
    table[(int) number - 1] = null;
    free.addFirst((int) number - 1);
    return handle;
  }

  /** Forgets all handles, when no request can name one any more. */
  synchronized List<Handle> removeAll() {
    List<Handle> all = Arrays.stream(handles).filter(Objects::nonNull).toList();
    handles = new Handle[64];
    free.clear();
    used = 0;
    return all;
  }

  /** Some open handle of {@code node}, or 0. */
  synchronized long anyOf(long node) {
    for (int i = 0; i < used; i++) {
      if (handles[i] != null && handles[i].node == node) {
        return i + 1L;
      }
    }
    return 0;
  }

  /** How many are open. */
  synchronized int size() {
    return used - free.size();
  }
}

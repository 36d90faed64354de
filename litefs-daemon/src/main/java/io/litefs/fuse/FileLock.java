package io.litefs.fuse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongFunction;

/**
 * A byte-range lock on a file of the mount, as proc_locks(5) lists it.
 *
 * @param file name in the mount
 * @param write whether it is exclusive, else shared
 * @param waiting whether it is not held but waited for
 * @param first first byte
 * @param last last byte; {@link Long#MAX_VALUE} for the end of the file, wherever that is
 * @param holder who holds it or waits; its pid is -1 for open-file-description locks, which are the
 *     daemon's own as a rule
 */
public record FileLock(
    String file, boolean write, boolean waiting, long first, long last, LockHolder holder) {

  private static final Path LOCKS = Path.of("/proc/locks");

  /**
   * Reads the locks of one file system.
   *
   * @param device its minor device number; the major one of all FUSE mounts is 0
   * @param names file names by inode number, null for those without
   */
  static List<FileLock> read(int device, LongFunction<String> names) throws IOException {
    // Not as text in the platform's charset: it is ASCII whatever the locale.
    return parse(
        Files.readAllLines(LOCKS, StandardCharsets.ISO_8859_1), device, names, LockHolder::command);
  }

  /**
   * Parses lines like {@code 3: POSIX ADVISORY WRITE 4711 00:31:5 120 120}, where {@code ->} before
   * the type marks one that waits for the lock above it. Locks of processes in other pid namespaces
   * are not in the list.
   */
  static List<FileLock> parse(
      List<String> lines,
      int device,
      LongFunction<String> names,
      java.util.function.IntFunction<String> commands) {
    List<FileLock> locks = new ArrayList<>();
    Map<Integer, String> known = new HashMap<>();
    for (String line : lines) {
      String[] words = line.strip().split("\\s+");
      int at = words.length > 1 && words[1].equals("->") ? 2 : 1;
      if (words.length < at + 7 || !(words[at].equals("POSIX") || words[at].equals("OFDLCK"))) {
        continue; // flock(2), leases
      }
      String[] inode = words[at + 4].split(":");
      if (inode.length != 3
          || Integer.parseInt(inode[0], 16) != 0
          || Integer.parseInt(inode[1], 16) != device) {
        continue;
      }
      String name = names.apply(Long.parseUnsignedLong(inode[2]));
      if (name == null) {
        continue; // removed, and still open
      }
      int pid = Integer.parseInt(words[at + 3]);
      String last = words[at + 6];
      locks.add(
          new FileLock(
              name,
              words[at + 2].equals("WRITE"),
              at == 2,
              Long.parseLong(words[at + 5]),
              last.equals("EOF") ? Long.MAX_VALUE : Long.parseLong(last),
              new LockHolder(pid, known.computeIfAbsent(pid, commands::apply))));
    }
    return locks;
  }
}

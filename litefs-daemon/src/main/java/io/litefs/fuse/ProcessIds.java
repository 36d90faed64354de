package io.litefs.fuse;

import io.litefs.posix.Errno;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Processes of threads: requests carry the id of the asking thread, but locks and operators speak
 * of processes. Thread-safe.
 */
final class ProcessIds {

  private static final int REMEMBERED = 1024;
  private static final String TGID = "Tgid:";

  private final ConcurrentHashMap<Integer, Integer> processOfThread = new ConcurrentHashMap<>();

  /**
   * The id of the process that {@code thread} belongs to, or {@code thread} itself if that cannot
   * be told any more; 0 for 0.
   */
  int of(int thread) {
    // Mostly the first thread of its process asks. One system call tells, and it also tells whether
    // what we remember is still true.
    if (thread == 0 || isIn(thread, thread)) {
      return thread;
    }
    Integer known = processOfThread.get(thread);
    if (known != null && isIn(known, thread)) {
      return known;
    }
    int process = read(thread);
    if (processOfThread.size() >= REMEMBERED) {
      processOfThread.clear();
    }
    processOfThread.put(thread, process);
    return process;
  }

  /**
   * Signal 0 is never sent, only checked; EPERM says that the pair exists but is another user's.
   */
  private static boolean isIn(int process, int thread) {
    return Syscalls.CALLS.tgkill(process, thread, 0) == 0 || Syscalls.errno() == Errno.EPERM;
  }

  private static int read(int thread) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc", Integer.toString(thread), "status"))) {
        if (line.startsWith(TGID)) {
          return Integer.parseInt(line.substring(TGID.length()).strip());
        }
      }
    } catch (IOException | RuntimeException e) {
      // It has ended meanwhile, or its name is not text (readAllLines); the thread's id is the best
      // we have.
      return thread;
    }
    return thread;
  }
}

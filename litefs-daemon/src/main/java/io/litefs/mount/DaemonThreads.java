package io.litefs.mount;

import java.nio.file.Files;
import java.nio.file.Path;

/** Tells requests of this process's own keepers from those of applications. */
final class DaemonThreads {

  private DaemonThreads() {}

  /** Whether {@code pid}, as a request names it (a thread's id), is of this process. */
  static boolean contains(int pid) {
    return Files.exists(Path.of("/proc/self/task/" + pid));
  }
}

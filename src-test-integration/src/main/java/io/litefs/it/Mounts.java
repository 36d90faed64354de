package io.litefs.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What the kernel says about mounts. Never touches the mount itself, whose daemon may be gone or
 * stopped.
 */
public final class Mounts {

  private Mounts() {}

  /** Whether anything is mounted at {@code dir} (an absolute path without symbolic links). */
  public static boolean isMounted(Path dir) {
    try {
      String at = ' ' + dir.toString().replace(" ", "\\040") + ' ';
      return Files.readAllLines(Path.of("/proc/self/mountinfo")).stream()
          .anyMatch(line -> line.contains(at));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void unmountIfMounted(Path dir) {
    for (int i = 0; i < 3 && isMounted(dir); i++) {
      Commands.run("umount", "-l", dir.toString());
    }
  }
}

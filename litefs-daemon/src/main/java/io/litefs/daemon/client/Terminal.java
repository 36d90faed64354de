package io.litefs.daemon.client;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Whether a human looks. */
public final class Terminal {

  private Terminal() {}

  public static boolean isInput() {
    return isTerminal(0);
  }

  public static boolean isOutput() {
    return isTerminal(1);
  }

  public static boolean isError() {
    return isTerminal(2);
  }

  /**
   * Looks where the descriptor leads: the JDK has no isatty(3) that means the same in every
   * version.
   */
  private static boolean isTerminal(int descriptor) {
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
      return target.startsWith("/dev/pts/")
          || target.startsWith("/dev/tty")
          || target.equals("/dev/console");
    } catch (IOException | UnsupportedOperationException e) {
      // No such descriptor, or no /proc: nobody looks.
      return false;
    }
  }
}

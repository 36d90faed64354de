package io.litefs.fuse;

import io.litefs.posix.PosixFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Measures what a request costs, from another process than the mount's: {@code RoundTripMeter FILE}
 * with a file in a mount of {@link DirectoryFileSystem} whose name begins with {@code direct}, or
 * in any directory for comparison. Prints medians in us.
 */
public final class RoundTripMeter {

  private static final int WARM_UP = 20_000;
  private static final int SAMPLES = 20_000;

  /** Something worth timing. */
  private interface Step {
    void run() throws Exception;
  }

  private RoundTripMeter() {}

  public static void main(String[] arguments) throws Exception {
    Path path = Path.of(arguments[0]);
    ByteBuffer page = ByteBuffer.allocateDirect(4096);
    try (PosixFile file = PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT, 0644)) {
      file.truncate(1 << 20);
      measure("pwrite 4 KiB", () -> file.pwrite(page.clear(), 8192));
      measure("pread 4 KiB", () -> file.pread(page.clear(), 8192));
      measure("open+close", () -> PosixFile.open(path, PosixFile.O_RDWR, 0).close());
    }
    Files.delete(path);
  }

  private static void measure(String what, Step step) throws Exception {
    for (int i = 0; i < WARM_UP; i++) {
      step.run();
    }
    long[] nanos = new long[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
      long begin = System.nanoTime();
      step.run();
      nanos[i] = System.nanoTime() - begin;
    }
    Arrays.sort(nanos);
    System.out.printf("%-14s %8.1f us%n", what, nanos[SAMPLES / 2] / 1000.0);
  }
}

package io.litefs.fuse;

import io.litefs.posix.PosixFile;
import java.nio.file.Path;

/**
 * Opens a file of its own mount in the ordinary way, to show what comes of it when it is killed.
 * Arguments: mount point, data directory.
 */
public final class CarelessDaemon {

  private CarelessDaemon() {}

  public static void main(String[] arguments) throws Exception {
    Keepers keepers = Keepers.start();
    Path mountPoint = Path.of(arguments[0]);
    Path data = Path.of(arguments[1]);
    try (Mount mount =
            Mount.mount(
                mountPoint,
                new DirectoryFileSystem(data),
                new KernelCacheNotifier(),
                keepers,
                new MountOptions(true, data));
        PosixFile held = PosixFile.open(mount.path().resolve("db"), PosixFile.O_RDWR, 0)) {
      System.out.println("holding " + held);
      while (System.in.read() >= 0) {
        // until the test kills us
      }
    }
  }
}

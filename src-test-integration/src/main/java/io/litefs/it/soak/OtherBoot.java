package io.litefs.it.soak;

import io.litefs.it.Commands;
import io.litefs.it.Node;
import io.litefs.it.NodeConfig;
import io.litefs.it.Reaper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;

/**
 * Lets a daemon start as after a reboot: the id of the boot that it sees is not the machine's. It
 * gets a mount namespace of its own; what it mounts in its home is seen by everybody all the same.
 * Needs root.
 */
final class OtherBoot implements AutoCloseable {

  private static final String BOOT_ID = "/proc/sys/kernel/random/boot_id";

  private final Path home;

  private OtherBoot(Path home) {
    this.home = home;
  }

  static boolean possible() {
    return Commands.run("unshare", "--mount", "cat", BOOT_ID).exitCode() == 0;
  }

  /**
   * @param config the node's, which is not running
   */
  static OtherBoot of(Node node, NodeConfig config) {
    Path home = node.home();
    try {
      Path id = Files.writeString(home.resolve("boot_id"), UUID.randomUUID() + "\n");
      Reaper.mount(home);
      Commands.run("mount", "--bind", home.toString(), home.toString()).orThrow();
      OtherBoot boot = new OtherBoot(home);
      Commands.run("mount", "--make-shared", home.toString()).orThrow();
      config.at(
          "127.0.0.1",
          List.of(
              "unshare",
              "--mount",
              "--propagation",
              "unchanged",
              "sh",
              "-c",
              "mount --make-private /proc && mount --bind \"$0\" " + BOOT_ID + " && exec \"$@\"",
              id.toString()));
      return boot;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    Commands.run("umount", "-l", home.toString()).orThrow();
  }
}

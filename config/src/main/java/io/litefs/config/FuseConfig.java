package io.litefs.config;

import java.nio.file.Path;

/**
 * The mount.
 *
 * @param dir mount point (default {@code /litefs})
 * @param allowOther whether other users than the daemon's may use the mount (default false); needs
 *     {@code user_allow_other} in {@code /etc/fuse.conf} unless the daemon runs as root
 * @param debug whether every request is logged (default false)
 */
public record FuseConfig(Path dir, boolean allowOther, boolean debug) {
  public FuseConfig withDir(Path dir) {
    return new FuseConfig(dir, allowOther, debug);
  }

  public FuseConfig withDebug(boolean debug) {
    return new FuseConfig(dir, allowOther, debug);
  }
}

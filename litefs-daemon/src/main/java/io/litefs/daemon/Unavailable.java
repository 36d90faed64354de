package io.litefs.daemon;

import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.CommandException;

/**
 * Refuses a configuration that this version cannot honour: to ignore it would be worse than not to
 * start.
 */
final class Unavailable {

  private Unavailable() {}

  static void refuse(LitefsConfig config) throws CommandException {
    refuse(config.backup().path().isPresent(), "the backup", "remove the section 'backup'");
  }

  private static void refuse(boolean wanted, String what, String remedy) throws CommandException {
    if (wanted) {
      throw CommandException.usage(
          what
              + " is configured, but not part of version "
              + VersionCommand.version()
              + "; "
              + remedy,
          null);
    }
  }
}

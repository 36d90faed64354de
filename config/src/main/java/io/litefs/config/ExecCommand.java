package io.litefs.config;

import java.util.Objects;

/**
 * A command that the daemon runs.
 *
 * @param cmd a command line, split into words as a POSIX shell splits them; not empty
 * @param ifCandidate whether it runs only on a node that is a candidate for primary
 */
public record ExecCommand(String cmd, boolean ifCandidate) {
  public ExecCommand {
    Objects.requireNonNull(cmd, "cmd");
  }
}

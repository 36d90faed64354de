package io.litefs.fuse;

/**
 * Who stands in the way of a lock.
 *
 * @param pid the holder's process id; -1 if it holds an open-file-description lock (another handle
 *     of the daemon, for one), 0 if it lives in another pid namespace
 * @param command the holder's command name, empty if it cannot be told
 */
public record LockHolder(int pid, String command) {

  @Override
  public String toString() {
    if (pid == -1) {
      return "an open file description";
    }
    return command.isEmpty() ? "pid " + pid : command + " (pid " + pid + ")";
  }
}

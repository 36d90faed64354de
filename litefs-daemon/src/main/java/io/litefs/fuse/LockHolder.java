package io.litefs.fuse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Who stands in the way of a lock.
 *
 * @param pid the holder's process id; -1 if it holds an open-file-description lock (another handle
 *     of the daemon, for one), 0 if it lives in another pid namespace
 * @param command the holder's command name, empty if it cannot be told
 */
public record LockHolder(int pid, String command) {

  /** The process as it is now. */
  public static LockHolder of(int pid) {
    return new LockHolder(pid, command(pid));
  }

  /** The command name of a process, empty if it has ended or there is none. */
  static String command(int pid) {
    if (pid <= 0) {
      return "";
    }
    try {
      byte[] name = Files.readAllBytes(Path.of("/proc", Integer.toString(pid), "comm"));
      return new String(name, StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      return ""; // it has ended
    }
  }

  @Override
  public String toString() {
    if (pid == -1) {
      return "an open file description";
    }
    return command.isEmpty() ? "pid " + pid : command + " (pid " + pid + ")";
  }
}

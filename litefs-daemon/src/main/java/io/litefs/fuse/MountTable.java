package io.litefs.fuse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** What is mounted where, see proc_pid_mountinfo(5), and which process serves a FUSE mount. */
final class MountTable {

  /** The type of our mounts: fuse and the subtype. */
  static final String LITEFS = "fuse.litefs";

  /**
   * A mount.
   *
   * @param device minor device number, which is also the number of a FUSE connection below
   *     /sys/fs/fuse/connections
   * @param point absolute path
   */
  record Entry(int device, Path point, String type, String source) {}

  private static final Path MOUNTS = Path.of("/proc/self/mountinfo");
  private static final String DEVICE = "/dev/fuse";

  private MountTable() {}

  /**
   * The mount that one sees at {@code point}, of those that may lie on top of each other. Never
   * touches the mount itself.
   */
  static Optional<Entry> at(Path point) throws IOException {
    Entry top = null;
    for (Entry entry : read(Files.readAllLines(MOUNTS))) {
      if (entry.point().equals(point)) {
        top = entry;
      }
    }
    return Optional.ofNullable(top);
  }

  /**
   * Parses lines like {@code 36 35 98:0 /root /mnt/point rw,noatime shared:1 - ext4 /dev/root rw}:
   * before the separator at least six fields, spaces in names as {@code \040}.
   */
  static List<Entry> read(List<String> lines) {
    List<Entry> entries = new ArrayList<>();
    for (String line : lines) {
      int separator = line.indexOf(" - ");
      String[] left = line.substring(0, separator).split(" ");
      String[] right = line.substring(separator + 3).split(" ");
      int device = Integer.parseInt(left[2].substring(left[2].indexOf(':') + 1));
      entries.add(
          new Entry(device, Path.of(unescape(left[4])), unescape(right[0]), unescape(right[1])));
    }
    return entries;
  }

  /**
   * The process that has {@code /dev/fuse} open for {@code connection}; empty if there is none, or
   * none that may be seen from here.
   */
  static Optional<ProcessHandle> server(int connection) {
    return ProcessHandle.allProcesses()
        .filter(process -> process.pid() != ProcessHandle.current().pid())
        .filter(process -> serves(process.pid(), connection))
        .findFirst();
  }

  private static boolean serves(long pid, int connection) {
    Path process = Path.of("/proc", Long.toString(pid));
    try (Stream<Path> descriptors = Files.list(process.resolve("fd"))) {
      return descriptors.anyMatch(
          descriptor ->
              isDevice(descriptor)
                  && isConnection(
                      process.resolve("fdinfo").resolve(descriptor.getFileName()), connection));
    } catch (IOException | RuntimeException e) {
      return false; // it has ended, or is not ours to look at (the stream wraps that in an
      // unchecked exception)
    }
  }

  private static boolean isDevice(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString().equals(DEVICE);
    } catch (IOException e) {
      return false; // closed meanwhile
    }
  }

  /**
   * Newer kernels tell the connection; with older ones every process that serves some FUSE mount is
   * taken for the one.
   */
  private static boolean isConnection(Path info, int connection) {
    try {
      for (String line : Files.readAllLines(info)) {
        if (line.startsWith("fuse_connection:")) {
          return line.substring(line.indexOf(':') + 1).strip().equals(Integer.toString(connection));
        }
      }
    } catch (IOException e) {
      return false;
    }
    return true;
  }

  private static String unescape(String field) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < field.length(); i++) {
      char c = field.charAt(i);
      if (c == '\\' && i + 3 < field.length()) {
        c = (char) Integer.parseInt(field.substring(i + 1, i + 4), 8);
        i += 3;
      }
      text.append(c);
    }
    return text.toString();
  }
}

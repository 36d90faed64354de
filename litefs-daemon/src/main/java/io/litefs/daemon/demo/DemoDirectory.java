package io.litefs.daemon.demo;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.FileReason;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The directory of the demonstration: two mount points and {@code .data}. Holds nothing else, so it
 * can be removed as a whole.
 */
final class DemoDirectory {

  private static final String WORK = ".data";
  private static final Set<String> ENTRIES = Set.of("primary", "replica", WORK);

  private final Path root;

  DemoDirectory(Path root) {
    this.root = root.toAbsolutePath().normalize();
  }

  Path mountPoint(String node) {
    return root.resolve(node);
  }

  Path work() {
    return root.resolve(WORK);
  }

  /**
   * Makes the directory anew; what an earlier demonstration that was killed left there is removed,
   * its daemons are ended.
   */
  void create() throws CommandException, InterruptedException {
    try {
      refuseForeignFiles();
      endLeftDaemons();
      removeTree(work());
      Files.createDirectories(work());
      Files.writeString(pidFile(), Long.toString(ProcessHandle.current().pid()));
      for (String node : List.of("primary", "replica")) {
        makeMountPoint(mountPoint(node));
      }
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot set up " + root, e), e);
    }
  }

  private Path pidFile() {
    return work().resolve("pid");
  }

  private void refuseForeignFiles() throws IOException, CommandException {
    if (!Files.isDirectory(root)) {
      return;
    }
    try (Stream<Path> entries = Files.list(root)) {
      List<String> foreign =
          entries
              .map(entry -> entry.getFileName().toString())
              .filter(name -> !ENTRIES.contains(name))
              .toList();
      if (!foreign.isEmpty()) {
        throw new CommandException(
            root
                + " holds files that are not the demonstration's ("
                + foreign.get(0)
                + "); name another directory, or move them");
      }
    }
  }

  private void endLeftDaemons() throws IOException, CommandException, InterruptedException {
    if (!Files.exists(pidFile())) {
      return;
    }
    long pid = Long.parseLong(Files.readString(pidFile()).strip());
    if (mentions(pid, "demo")) {
      throw new CommandException(
          "a demonstration runs in " + root + " already, pid " + pid + "; stop it first");
    }
    List<ProcessHandle> left =
        ProcessHandle.allProcesses()
            .filter(process -> mentions(process.pid(), work() + "/"))
            .toList();
    left.forEach(ProcessHandle::destroy);
    for (ProcessHandle process : left) {
      process.onExit().join();
    }
  }

  /** Whether a process's command line has a word that begins with {@code text}. */
  private static boolean mentions(long pid, String text) {
    try {
      String line = Files.readString(Path.of("/proc/" + pid + "/cmdline"));
      return line.contains("litefs") && line.contains('\0' + text);
    } catch (IOException e) {
      // It has ended, or is another user's.
      return false;
    }
  }

  private static void makeMountPoint(Path dir) throws IOException {
    try {
      Files.createDirectories(dir);
    } catch (IOException e) {
      // The mount of a daemon that was killed: nobody can look into it, and the next daemon removes
      // it.
      if (Files.isDirectory(dir) || Files.notExists(dir)) {
        throw e;
      }
    }
  }

  /** Removes everything; a mount point that is still a mount stays. */
  void remove() throws IOException {
    removeTree(work());
    for (Path path : List.of(mountPoint("primary"), mountPoint("replica"), root)) {
      try {
        Files.deleteIfExists(path);
      } catch (DirectoryNotEmptyException e) {
        throw new IOException(path + " is not empty", e);
      }
    }
  }

  private static void removeTree(Path dir) throws IOException {
    try (Stream<Path> files = Files.walk(dir)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (NoSuchFileException e) {
      // There was none.
      return;
    }
  }
}

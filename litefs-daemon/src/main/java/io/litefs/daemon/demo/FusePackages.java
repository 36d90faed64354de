package io.litefs.daemon.demo;

import io.litefs.daemon.client.CommandException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Sees to it that this machine can mount: libfuse 2 and, for those who are not root, its setuid
 * helper.
 */
final class FusePackages {

  private final PrintStream out;
  private final boolean yes;
  private final boolean terminal;

  /**
   * @param yes whether to install without asking
   * @param terminal whether there is somebody to ask
   */
  FusePackages(PrintStream out, boolean yes, boolean terminal) {
    this.out = out;
    this.yes = yes;
    this.terminal = terminal;
  }

  /** Returns if all is there, if need be after installing it. */
  void ensure() throws CommandException, InterruptedException {
    boolean root = "root".equals(System.getProperty("user.name"));
    List<String> missing = missing(root);
    if (!missing.isEmpty()) {
      install(missing, root);
    }
    if (!Files.exists(Path.of("/dev/fuse"))) {
      throw new CommandException(
          "there is no /dev/fuse: the kernel module is not loaded, or not let into this container; run 'modprobe fuse', or start "
              + "the container with --device /dev/fuse --cap-add SYS_ADMIN");
    }
  }

  private static List<String> missing(boolean root) {
    List<String> missing = new ArrayList<>();
    if (!hasLibrary()) {
      missing.add("libfuse2");
    }
    if (!root && !onPath("fusermount")) {
      missing.add("fuse");
    }
    return missing;
  }

  private static boolean hasLibrary() {
    return Stream.of("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
        .map(Path::of)
        .flatMap(dir -> Stream.concat(Stream.of(dir), subdirectories(dir)))
        .anyMatch(dir -> Files.exists(dir.resolve("libfuse.so.2")));
  }

  /** Debian keeps libraries one level deeper, by architecture. */
  private static Stream<Path> subdirectories(Path dir) {
    try (Stream<Path> entries = Files.list(dir)) {
      return entries
          .filter(entry -> entry.getFileName().toString().contains("-linux-"))
          .toList()
          .stream();
    } catch (IOException e) {
      // Not on this machine.
      return Stream.empty();
    }
  }

  private static boolean onPath(String program) {
    return Stream.of(System.getenv().getOrDefault("PATH", "/usr/bin:/bin").split(":"))
        .anyMatch(dir -> Files.isExecutable(Path.of(dir, program)));
  }

  private void install(List<String> packages, boolean root)
      throws CommandException, InterruptedException {
    List<String> apt = new ArrayList<>();
    if (!root) {
      apt.add("sudo");
    }
    apt.addAll(List.of("apt-get", "install", "-y", "--no-install-recommends"));
    apt.addAll(packages);
    String command = String.join(" ", apt);
    String what = String.join(" and ", packages);
    if (!onPath("apt-get")) {
      throw new CommandException(
          what
              + " (FUSE 2) is not installed, and there is no apt-get here; install it with the system's package manager");
    }
    if (!root && !yes) {
      ask(what, command);
    }
    out.println("installing " + what + ": " + command);
    if (run(apt) != 0) {
      // A fresh container image has no package lists.
      List<String> update =
          root ? List.of("apt-get", "update") : List.of("sudo", "apt-get", "update");
      if (run(update) != 0 || run(apt) != 0) {
        throw new CommandException("cannot install " + what + "; try '" + command + "' yourself");
      }
    }
  }

  private void ask(String what, String command) throws CommandException {
    if (!terminal) {
      throw new CommandException(
          what + " (FUSE 2) is not installed; run '" + command + "', or give --yes");
    }
    out.print("The demonstration needs " + what + ". Run '" + command + "'? [Y/n] ");
    out.flush();
    try {
      String answer =
          new BufferedReader(new InputStreamReader(System.in, Charset.defaultCharset())).readLine();
      if (answer == null || answer.strip().toLowerCase(Locale.ROOT).startsWith("n")) {
        throw new CommandException(what + " is not installed; nothing was changed");
      }
    } catch (IOException e) {
      throw new CommandException("cannot read the answer: " + e.getMessage(), e);
    }
  }

  private static int run(List<String> command) throws CommandException, InterruptedException {
    try {
      return new ProcessBuilder(command).inheritIO().start().waitFor();
    } catch (IOException e) {
      throw new CommandException("cannot run " + command.get(0) + ": " + e.getMessage(), e);
    }
  }
}

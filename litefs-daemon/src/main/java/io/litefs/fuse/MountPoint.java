package io.litefs.fuse;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The directory to mount on: makes sure that it can be, clears away what a dead predecessor left
 * there, and unmounts.
 *
 * <p>Looks at the mount table before the directory, because any question about a mount whose daemon
 * hangs would hang as well.
 */
final class MountPoint {

  private static final Logger log = LoggerFactory.getLogger(MountPoint.class);

  /** A daemon that has not answered for so long, and whose process cannot be found, is dead. */
  private static final Duration ANSWER = Duration.ofSeconds(2);

  private static final int CAP_SYS_ADMIN = 21;

  /** More dead mounts than this on top of each other are not removed. */
  private static final int MAX_STACKED = 20;

  private static final int MAX_LINKS = 40;

  private final Path path;
  private final Keepers keepers;

  private MountPoint(Path path, Keepers keepers) {
    this.path = path;
    this.keepers = keepers;
  }

  /** Checks everything that can be checked before mounting, and removes dead mounts of ours. */
  static MountPoint prepare(Path directory, Keepers keepers, MountOptions options)
      throws MountException {
    MountPoint point = new MountPoint(resolve(directory), keepers);
    point.removeDeadMounts();
    point.checkDirectory(options.leftover());
    checkSystem(options.allowOther());
    return point;
  }

  /** Only removes dead mounts of ours. */
  static void removeDead(Path directory, Keepers keepers) throws MountException {
    new MountPoint(resolve(directory), keepers).removeDeadMounts();
  }

  Path path() {
    return path;
  }

  /** The device number of the mount that is here now, if it is one of ours. */
  Optional<Integer> device() {
    try {
      return MountTable.at(path)
          .filter(entry -> entry.type().equals(MountTable.LITEFS))
          .map(MountTable.Entry::device);
    } catch (IOException e) {
      log.warn("cannot read the mount table", e);
      return Optional.empty();
    }
  }

  /**
   * Takes the mount away, at once from the namespace even if files are open.
   *
   * @param force aborts the connection first: every request in progress fails
   * @return whether it is gone
   */
  boolean unmount(boolean force) {
    int error = keepers.unmount(path, force ? Syscalls.MNT_FORCE : 0);
    if (error == Errno.EBUSY) {
      error = keepers.unmount(path, Syscalls.MNT_DETACH);
    }
    if (error == Errno.EPERM) {
      // Not root: the setuid helper of libfuse does it for the user who mounted.
      return run("fusermount", "-u", path.toString())
          || run("fusermount", "-u", "-z", path.toString());
    }
    if (error != 0 && error != Errno.EINVAL) { // EINVAL: nothing is mounted here
      log.error("cannot unmount {}: {}", path, Errno.name(error));
      return false;
    }
    return true;
  }

  private void removeDeadMounts() throws MountException {
    for (int i = 0; i < MAX_STACKED; i++) {
      MountTable.Entry entry = top().orElse(null);
      if (entry == null) {
        return;
      }
      if (!entry.type().equals(MountTable.LITEFS)) {
        throw new MountException(
            "cannot mount on %s: a filesystem of type %s (%s) is mounted there already; unmount it or choose another directory"
                .formatted(path, entry.type(), entry.source()));
      }
      checkDead(entry);
      abort(entry.device());
      if (!unmount(true)) {
        break;
      }
    }
    throw new MountException(
        "cannot remove the dead litefs mount at %s: run 'umount -l %s' as root"
            .formatted(path, path));
  }

  private void checkDead(MountTable.Entry entry) throws MountException {
    int answer = keepers.probe(path, ANSWER);
    if (answer == Errno.ENOTCONN || answer == Errno.ECONNABORTED) {
      log.warn("{} is still mounted by a litefs that has died: removing that mount", path);
      return;
    }
    Optional<String> server =
        MountTable.server(entry.device())
            .map(
                process ->
                    "pid "
                        + process.pid()
                        + process.info().command().map(c -> ", " + c).orElse(""));
    if (answer != Keepers.NO_ANSWER) {
      throw new MountException(
          "cannot mount on %s: another litefs is running on it (%s); stop it or choose another directory"
              .formatted(path, server.orElse("its process cannot be seen from here")));
    }
    if (server.isPresent()) {
      throw new MountException(
          "cannot mount on %s: another litefs (%s) has it mounted and does not answer; kill it or choose another directory"
              .formatted(path, server.get()));
    }
    log.warn(
        "{} is still mounted by a litefs that was killed and hangs: aborting its connection", path);
  }

  /**
   * Ends a connection by its number: what hangs in it fails and a process that could not end does.
   * As root the unmount by force does the same; this works for the user who had mounted, too.
   */
  private static void abort(int connection) {
    Path file = Path.of("/sys/fs/fuse/connections", Integer.toString(connection), "abort");
    try {
      if (Files.exists(file)) {
        Files.writeString(file, "1");
      }
    } catch (IOException e) {
      log.debug("cannot write to {}", file, e);
    }
  }

  private void checkDirectory(Predicate<Path> leftover) throws MountException {
    try {
      if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
        Files.createDirectory(path);
        return;
      }
      if (!Files.isDirectory(path)) {
        throw new MountException("cannot mount on %s: it is not a directory".formatted(path));
      }
      removeFiles(leftover);
      try (Stream<Path> files = Files.list(path)) {
        List<String> names =
            files.limit(3).map(file -> file.getFileName().toString()).collect(Collectors.toList());
        if (!names.isEmpty()) {
          throw new MountException(
              "cannot mount on %s: the directory is not empty (%s): these files would be hidden; move them away or choose another directory"
                  .formatted(path, String.join(", ", names)));
        }
      }
    } catch (AccessDeniedException e) {
      throw new MountException(
          "cannot mount on %s: no permission (%s)".formatted(path, e.getFile()), e);
    } catch (IOException e) {
      throw new MountException("cannot mount on %s: %s".formatted(path, e), e);
    }
  }

  private void removeFiles(Predicate<Path> leftover) throws IOException {
    List<Path> found;
    try (Stream<Path> files = Files.list(path)) {
      found = files.filter(leftover).toList();
    }
    for (Path file : found) {
      Files.deleteIfExists(file);
      log.info("removed {}: an application made it while nothing was mounted", file);
    }
  }

  private Optional<MountTable.Entry> top() throws MountException {
    try {
      return MountTable.at(path);
    } catch (IOException e) {
      throw new MountException(
          "cannot mount on %s: the mount table cannot be read: %s".formatted(path, e.getMessage()),
          e);
    }
  }

  /**
   * The directory's path as the mount table has it. Creates missing parents. The directory itself
   * is asked nothing (whether it is a symbolic link, say) if something is mounted there: that could
   * hang.
   */
  static Path resolve(Path directory) throws MountException {
    Path path = directory.toAbsolutePath().normalize();
    try {
      for (int links = 0; links < MAX_LINKS; links++) {
        Path parent = path.getParent();
        if (parent == null) {
          throw new MountException("cannot mount on /: choose a directory for the databases");
        }
        Files.createDirectories(parent);
        path = parent.toRealPath().resolve(path.getFileName());
        if (MountTable.at(path).isPresent() || !Files.isSymbolicLink(path)) {
          return path;
        }
        path = path.resolveSibling(Files.readSymbolicLink(path)).normalize();
      }
      throw new MountException("cannot mount on %s: too many symbolic links".formatted(directory));
    } catch (IOException e) {
      throw new MountException(
          "cannot mount on %s: its parent directory cannot be used: %s".formatted(path, e), e);
    }
  }

  private static void checkSystem(boolean allowOther) throws MountException {
    try {
      PosixFile.open(Path.of("/dev/fuse"), PosixFile.O_RDWR, 0).close();
    } catch (ErrnoException e) {
      throw new MountException(
          switch (e.errno()) {
            case Errno.ENOENT ->
                "there is no /dev/fuse: in a container pass --device /dev/fuse, on a host load the kernel module with 'modprobe fuse'";
            case Errno.EACCES, Errno.EPERM ->
                "no permission to open /dev/fuse: in a container pass --device /dev/fuse, on a host run as root or in its group";
            default ->
                "cannot open /dev/fuse (%s): load the kernel module with 'modprobe fuse'"
                    .formatted(Errno.name(e.errno()));
          },
          e);
    }
    if (hasCapability(CAP_SYS_ADMIN)) {
      return;
    }
    if (Syscalls.CALLS.geteuid() == 0) {
      throw new MountException(
          "no permission to mount: in a container pass --cap-add SYS_ADMIN (and, with AppArmor, --security-opt apparmor=unconfined)");
    }
    if (!isInstalled("fusermount")) {
      throw new MountException(
          "no permission to mount: run as root, or install fusermount for other users, e.g. apt-get install fuse");
    }
    if (allowOther && !fuseConfAllowsOther()) {
      throw new MountException(
          "option allow_other needs a line 'user_allow_other' in /etc/fuse.conf, or root");
    }
  }

  private static boolean hasCapability(int capability) {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      return lines
          .filter(line -> line.startsWith("CapEff:"))
          .anyMatch(
              line ->
                  (Long.parseUnsignedLong(line.substring(7).strip(), 16) >> capability & 1) == 1);
    } catch (IOException e) {
      return true; // then mounting itself will tell
    }
  }

  private static boolean fuseConfAllowsOther() {
    try (Stream<String> lines = Files.lines(Path.of("/etc/fuse.conf"))) {
      return lines.anyMatch(line -> line.strip().equals("user_allow_other"));
    } catch (IOException e) {
      return false; // no such file: the default, which forbids it
    }
  }

  private static boolean isInstalled(String program) {
    return Stream.of(System.getenv().getOrDefault("PATH", "/usr/bin:/bin").split(":"))
        .anyMatch(directory -> Files.isExecutable(Path.of(directory, program)));
  }

  private static boolean run(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getInputStream().readAllBytes();
      return process.waitFor() == 0;
    } catch (IOException e) {
      log.error("cannot run {}: {}", command[0], e.getMessage());
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}

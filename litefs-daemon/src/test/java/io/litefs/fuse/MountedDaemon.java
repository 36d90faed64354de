package io.litefs.fuse;

import io.litefs.posix.PosixFile;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A process that mounts a {@link DirectoryFileSystem} and does what it is told: run with {@link
 * #main} in the child, used through {@link Control} by the test. Arguments: mount point, data
 * directory. Commands and their answers are single lines, see {@link #execute}.
 */
public final class MountedDaemon {

  private final Path mountPoint;
  private final Path data;
  private final Keepers keepers;
  private final KernelCacheNotifier cache = new KernelCacheNotifier();
  private final DirectoryFileSystem fs;
  private final Map<String, KeeperFile> opened = new HashMap<>();
  private Mount mount;
  private Thread entering;

  private MountedDaemon(Path mountPoint, Path data, Keepers keepers) {
    this.mountPoint = mountPoint;
    this.data = data;
    this.keepers = keepers;
    this.fs = new DirectoryFileSystem(data);
  }

  public static void main(String[] arguments) throws Exception {
    long begin = System.nanoTime();
    Keepers keepers = Keepers.start();
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    MountedDaemon daemon = new MountedDaemon(Path.of(arguments[0]), Path.of(arguments[1]), keepers);
    try {
      daemon.mount();
    } catch (MountException e) {
      answers.println("REFUSED " + e.getMessage());
      return;
    }
    Runtime.getRuntime().addShutdownHook(new Thread(() -> daemon.mount.unmount()));
    answers.println("MOUNTED " + (System.nanoTime() - begin) / 1_000_000);
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String answer;
      try {
        answer = daemon.execute(line.split(" "));
      } catch (Exception e) {
        answer = "FAILED " + e;
      }
      answers.println(answer);
    }
    System.exit(0); // the test is gone or wants us gone
  }

  private String execute(String[] words) throws Exception {
    switch (words[0]) {
      case "total":
        return Long.toString(mount.counters().total());
      case "counters":
        return mount.counters().snapshot().toString();
      case "write": // behind the kernel's back: name offset byte length
        writeBacking(words);
        return "ok";
      case "store": // name offset byte length
        ByteBuffer bytes = writeBacking(words);
        cache.store(words[1], Long.parseLong(words[2]), bytes);
        return "ok";
      case "invalidate":
        cache.invalidate(words[1], 0, 0);
        return "ok";
      case "attributes":
        cache.invalidateAttributes(words[1]);
        return "ok";
      case "entry":
        cache.invalidateEntry(words[1]);
        return "ok";
      case "entry-later":
        entering = background(() -> cache.invalidateEntry(words[1]));
        return "ok";
      case "entry-state": // of that
        return entering.getState().toString();
      case "truncate": // name size
        try (PosixFile file = PosixFile.open(data.resolve(words[1]), PosixFile.O_RDWR, 0)) {
          file.truncate(Long.parseLong(words[2]));
        }
        return "ok";
      case "delete":
        Files.delete(data.resolve(words[1]));
        return "ok";
      case "open":
        opened.put(words[1], keepers.open(mountPoint.resolve(words[1]), PosixFile.O_RDWR, 0));
        return "ok";
      case "close":
        opened.remove(words[1]).close();
        return "ok";
      case "trylock": // name READ|WRITE start length
        return Boolean.toString(
            opened
                .get(words[1])
                .tryLock(
                    LockType.valueOf(words[2]),
                    Long.parseLong(words[3]),
                    Long.parseLong(words[4])));
      case "lock": // name READ|WRITE start length millis
        return Boolean.toString(
            opened
                .get(words[1])
                .lock(
                    LockType.valueOf(words[2]),
                    Long.parseLong(words[3]),
                    Long.parseLong(words[4]),
                    Duration.ofMillis(Long.parseLong(words[5]))));
      case "holder": // name READ|WRITE start length
        Optional<LockHolder> holder =
            opened
                .get(words[1])
                .holder(
                    LockType.valueOf(words[2]), Long.parseLong(words[3]), Long.parseLong(words[4]));
        return holder.map(found -> found.pid() + " " + found.command()).orElse("none");
      case "busy-keepers": // name
        for (int i = 0; i < 4; i++) {
          background(() -> openLockClose(mountPoint.resolve(words[1])));
        }
        return "ok";
      case "storm": // name pages
        background(() -> storeForEver(words[1], Integer.parseInt(words[2])));
        return "ok";
      case "nodes":
        return Integer.toString(mount.session().nodes().size());
      case "handles":
        return Integer.toString(mount.session().handles().size());
      case "threads":
        return Integer.toString(mount.loop().size());
      case "collect":
        System.gc();
        return "ok";
      case "slow-waiting":
        return Integer.toString(fs.slowWaiting.get());
      case "slow-go":
        fs.slowMayGo.countDown();
        return "ok";
      case "latest-pid":
        return Integer.toString(fs.latestPid);
      case "unmount":
        long begin = System.nanoTime();
        mount.unmount();
        return Long.toString((System.nanoTime() - begin) / 1_000_000);
      case "mount": // again
        long again = System.nanoTime();
        mount();
        return Long.toString((System.nanoTime() - again) / 1_000_000);
      default:
        throw new IllegalArgumentException(Arrays.toString(words));
    }
  }

  private void mount() throws MountException {
    mount = Mount.mount(mountPoint, fs, cache, keepers, new MountOptions(true, data));
  }

  private ByteBuffer writeBacking(String[] words) throws IOException {
    byte[] content = new byte[Integer.parseInt(words[4])];
    Arrays.fill(content, (byte) Integer.parseInt(words[3]));
    ByteBuffer bytes = ByteBuffer.allocateDirect(content.length).put(content).flip();
    try (PosixFile file =
        PosixFile.open(data.resolve(words[1]), PosixFile.O_RDWR | PosixFile.O_CREAT, 0644)) {
      file.pwrite(bytes, Long.parseLong(words[2]));
    }
    return bytes.flip();
  }

  private void openLockClose(Path file) throws IOException {
    while (true) {
      try (KeeperFile keeper = keepers.open(file, PosixFile.O_RDWR, 0)) {
        keeper.lock(LockType.WRITE, 0, 1);
        keeper.unlock(0, 1);
      }
    }
  }

  private void storeForEver(String name, int pages) throws IOException {
    ByteBuffer page = ByteBuffer.allocateDirect(4096);
    try (PosixFile file = PosixFile.open(data.resolve(name), PosixFile.O_RDWR, 0)) {
      for (int i = 0; true; i = (i + 1) % pages) {
        page.clear().putInt(0, i);
        file.pwrite(page, 4096L * i);
        cache.store(name, 4096L * i, page.clear());
      }
    }
  }

  private interface Endless {
    void run() throws IOException;
  }

  private static Thread background(Endless work) {
    Thread thread =
        new Thread(
            () -> {
              try {
                work.run();
              } catch (IOException e) {
                throw new IllegalStateException(e);
              }
            });
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  /** The test's end of such a process. */
  static final class Control implements AutoCloseable {

    final Process process;

    /** The first line it printed. */
    final String greeting;

    private final BufferedReader answers;
    private final PrintStream commands;

    private Control(Process process) throws IOException {
      this.process = process;
      answers =
          new BufferedReader(
              new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
      commands = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
      greeting = nextAnswer();
    }

    /** Starts one; its greeting tells whether it could mount. */
    static Control start(Path mountPoint, Path data) throws IOException {
      return new Control(java(MountedDaemon.class, mountPoint.toString(), data.toString()));
    }

    /** Starts a class of this class path in a process of its own, with the daemon's flags. */
    static Process java(Class<?> main, String... arguments) throws IOException {
      List<String> command = new ArrayList<>();
      command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
      Collections.addAll(
          command,
          "-XX:+UseSerialGC",
          "-Xmx64m",
          "-XX:TieredStopAtLevel=1",
          "--enable-native-access=ALL-UNNAMED");
      Collections.addAll(command, "-cp", System.getProperty("java.class.path"), main.getName());
      Collections.addAll(command, arguments);
      return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }

    String ask(String command) throws IOException {
      commands.println(command);
      return nextAnswer();
    }

    long askNumber(String command) throws IOException {
      return Long.parseLong(ask(command));
    }

    boolean isMounted() {
      return greeting.startsWith("MOUNTED");
    }

    /** Sends a command without waiting for its answer. */
    void tell(String command) {
      commands.println(command);
    }

    /** Log lines that share the standard output begin with the time. */
    String nextAnswer() throws IOException {
      String line = answers.readLine();
      while (line != null
          && line.matches("\\d\\d:\\d\\d:\\d\\d.*|\\s+at .*|[a-z.]+Exception.*|Caused by.*")) {
        line = answers.readLine();
      }
      if (line == null) {
        throw new IOException("the daemon has ended");
      }
      return line;
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }
}

package io.litefs.daemon.exec;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jnr.ffi.LibraryLoader;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs commands one after the other, each after the success of the one before, with the daemon's
 * standard streams, directory and environment. The last one is the application: when it ends, so
 * does the daemon.
 *
 * <p>{@link #run} is called once. The other methods may be called on any thread at any time.
 */
public final class Supervisor {

  /** A shell's exit codes for a command that cannot be run, and for one that is not there. */
  public static final int CANNOT_RUN = 126;

  public static final int NOT_FOUND = 127;

  /** Names the environment variables that the launcher has set, by spaces. */
  private static final String LAUNCHER_VARIABLES = "LITEFS_LAUNCHER_VARIABLES";

  private static final Logger log = LoggerFactory.getLogger(Supervisor.class);

  private final List<List<String>> commands;
  private final ReentrantLock lock = new ReentrantLock();

  /** The command that runs now; null if none does. Guarded by {@link #lock}. */
  private Process running;

  /** Whether no further command may start. Guarded by {@link #lock}. */
  private boolean stopping;

  /**
   * @param commands words of each command, none empty
   */
  public Supervisor(List<List<String>> commands) {
    this.commands = List.copyOf(commands);
  }

  /**
   * Runs the commands and returns the exit code of the last, or of the first that failed; 128 plus
   * the signal's number if a signal ended it, {@link #CANNOT_RUN} or {@link #NOT_FOUND} if it could
   * not be started.
   */
  public int run() throws InterruptedException {
    int exitCode = 0;
    for (List<String> command : commands) {
      Process process;
      lock.lock();
      try {
        if (stopping) {
          return exitCode;
        }
        process = start(command);
        running = process;
      } catch (IOException e) {
        log.error("cannot run '{}': {}", command.get(0), reason(e));
        return isNotFound(e) ? NOT_FOUND : CANNOT_RUN;
      } finally {
        lock.unlock();
      }
      log.info("started '{}', pid {}", String.join(" ", command), process.pid());
      exitCode = process.waitFor();
      lock.lock();
      try {
        running = null;
      } finally {
        lock.unlock();
      }
      log.info("'{}' ended with exit code {}", command.get(0), exitCode);
      if (exitCode != 0) {
        return exitCode;
      }
    }
    return exitCode;
  }

  /**
   * Sends {@code signal} to the command that runs now; returns whether there was one. After a
   * signal that stops, no further command starts.
   */
  public boolean signal(ForwardedSignal signal) {
    lock.lock();
    try {
      stopping |= signal.stops();
      // While this holds, the process has not been waited for: its number cannot be another
      // process's yet.
      if (running == null || !running.isAlive()) {
        return false;
      }
      if (signal == ForwardedSignal.TERM) {
        running.destroy();
      } else {
        Native.LIBC.kill((int) running.pid(), signal.number());
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends the command that runs now, if any: SIGTERM, then SIGKILL after {@code grace}. No further
   * command starts.
   */
  public void stop(Duration grace) throws InterruptedException {
    Process process;
    lock.lock();
    try {
      stopping = true;
      process = running;
    } finally {
      lock.unlock();
    }
    if (process == null) {
      return;
    }
    process.destroy();
    if (!process.waitFor(grace.toMillis(), TimeUnit.MILLISECONDS)) {
      log.warn(
          "pid {} did not end within {} s of SIGTERM: killed", process.pid(), grace.toSeconds());
      process.destroyForcibly().waitFor();
    }
  }

  private static Process start(List<String> command) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
    Map<String, String> environment = builder.environment();
    // What the launcher set for this JVM is not the application's.
    String ours = environment.remove(LAUNCHER_VARIABLES);
    if (ours != null) {
      environment.keySet().removeAll(Set.of(ours.split(" ")));
    }
    return builder.start();
  }

  /**
   * {@code error=2, No such file or directory}; since JDK 25 {@code error: 2 (No such file or
   * directory)}.
   */
  private static final Pattern ERROR = Pattern.compile("error(?:=|: )(\\d+)(?:, | \\()([^)]*)");

  private static boolean isNotFound(IOException e) {
    Matcher error = ERROR.matcher(String.valueOf(e.getMessage()));
    return error.find() && error.group(1).equals("2");
  }

  private static String reason(IOException e) {
    String message = String.valueOf(e.getMessage());
    Matcher error = ERROR.matcher(message);
    return error.find() ? error.group(2) : message;
  }

  /** Loaded with the first signal that {@link Process} cannot send. */
  private static final class Native {
    static final LibC LIBC = LibraryLoader.create(LibC.class).load("libc.so.6");
  }

  /** Public: jnr-ffi implements it from a class loader of its own. */
  public interface LibC {
    int kill(int pid, int signal);
  }
}

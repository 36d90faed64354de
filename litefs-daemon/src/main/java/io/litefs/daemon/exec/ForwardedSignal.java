package io.litefs.daemon.exec;

import java.util.function.Consumer;

/**
 * A signal that the daemon passes on to its command. SIGQUIT is missing: the JVM answers it with a
 * thread dump, which is worth more here. SIGUSR2 arrives only if the launcher has moved the JVM's
 * own use of it away ({@code _JAVA_SR_SIGNUM}).
 */
public enum ForwardedSignal {
  HUP(1),
  INT(2),
  USR1(10),
  USR2(12),
  TERM(15);

  private final int number;

  ForwardedSignal(int number) {
    this.number = number;
  }

  /** The number, the same on all Linux architectures that the JVM runs on. */
  public int number() {
    return number;
  }

  /** Whether it asks the daemon to end when there is no command to pass it to. */
  public boolean stops() {
    return this == INT || this == TERM;
  }

  /**
   * From now on hands each of these signals to {@code handler}, on a thread of the JVM's, instead
   * of ending the process. A signal that the process was started to ignore (nohup) stays ignored,
   * one that the JVM was told to keep ({@code -Xrs}) stays with it.
   */
  public static void handleAll(Consumer<ForwardedSignal> handler) {
    for (ForwardedSignal signal : values()) {
      if (signal == USR2 && System.getenv("_JAVA_SR_SIGNUM") == null) {
        continue;
      }
      JvmSignals.handle(signal.name(), () -> handler.accept(signal));
    }
  }

  @Override
  public String toString() {
    return "SIG" + name();
  }
}

package io.litefs.daemon.exec;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

/**
 * {@code sun.misc.Signal}, the JDK's only way to hear of a signal: exported and kept on purpose
 * (JEP 260), but each use of it in source is a warning that no annotation silences.
 */
final class JvmSignals {

  private JvmSignals() {}

  /**
   * Runs {@code handler} on a thread of the JVM's at each arrival of the signal, instead of what
   * the JVM does by default.
   *
   * @param name without SIG
   * @return false if the JVM keeps this signal to itself, as it was told to by {@code -Xrs}
   */
  static boolean handle(String name, Runnable handler) {
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> signalHandler = Class.forName("sun.misc.SignalHandler");
      Object proxy =
          Proxy.newProxyInstance(
              JvmSignals.class.getClassLoader(),
              new Class<?>[] {signalHandler},
              (self, method, args) ->
                  switch (method.getName()) {
                    case "handle" -> {
                      handler.run();
                      yield null;
                    }
                    case "equals" -> self == args[0];
                    case "hashCode" -> System.identityHashCode(self);
                    default -> "handler of SIG" + name;
                  });
      signal
          .getMethod("handle", signal, signalHandler)
          .invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
      return true;
    } catch (InvocationTargetException e) {
      return false;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("this Java runtime lacks the module jdk.unsupported", e);
    }
  }
}

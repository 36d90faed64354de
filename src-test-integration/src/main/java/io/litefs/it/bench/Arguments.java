package io.litefs.it.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What to measure.
 *
 * @param benchmarks names, in order
 * @param peer another {@code litefs} that reads the same configuration
 * @param megabytes size of the large database
 * @param walMegabytes size of the long WAL
 * @param isQuick with a twentieth of the work: to see whether it runs, not to compare
 */
record Arguments(
    List<String> benchmarks,
    int rounds,
    Optional<Path> peer,
    int megabytes,
    int walMegabytes,
    boolean isQuick) {

  private static final List<String> ALL =
      List.of("select", "insert", "speedtest", "size", "lag", "replica", "catchup", "start", "ltx");

  private static final String HELP =
      """
      usage: bench [--peer PATH] [rounds=5] [mb=1000] [wal-mb=200] [--quick] [NAME...]

        NAME         %s; all of them by default
        --peer PATH  another litefs, which is measured in turns with this one; it is run as
                     PATH mount -config FILE
        rounds=N     how often each thing is measured
        mb=N         size of the large database in MB; the targets are for 10000
        wal-mb=N     size of the long WAL in MB; the target is for 1000
        --quick      a twentieth of the work: shows whether it runs, compares nothing
      """
          .formatted(String.join(" ", ALL));

  static Arguments parse(String[] arguments) {
    List<String> names = new ArrayList<>();
    Optional<Path> peer = Optional.empty();
    int rounds = 5;
    int megabytes = 1000;
    int walMegabytes = 200;
    boolean isQuick = false;
    for (int i = 0; i < arguments.length; i++) {
      String argument = arguments[i];
      if (argument.equals("--peer") && i + 1 < arguments.length) {
        peer = Optional.of(executable(arguments[++i]));
      } else if (argument.equals("--quick")) {
        isQuick = true;
      } else if (argument.startsWith("rounds=")) {
        rounds = number(argument);
      } else if (argument.startsWith("mb=")) {
        megabytes = number(argument);
      } else if (argument.startsWith("wal-mb=")) {
        walMegabytes = number(argument);
      } else if (ALL.contains(argument)) {
        names.add(argument);
      } else {
        throw stop(argument.matches("--?h(elp)?") ? 0 : 2, HELP);
      }
    }
    return new Arguments(
        names.isEmpty() ? ALL : names, rounds, peer, megabytes, walMegabytes, isQuick);
  }

  /** How often something is done that would be done {@code times} in a real measurement. */
  int count(int times) {
    return isQuick ? Math.max(20, times / 20) : times;
  }

  private static int number(String argument) {
    try {
      int number = Integer.parseInt(argument.substring(argument.indexOf('=') + 1));
      if (number > 0) {
        return number;
      }
    } catch (NumberFormatException e) {
      // The same mistake as a negative number.
    }
    throw stop(2, "bench: " + argument + " is no positive number\n");
  }

  private static Path executable(String path) {
    Path file = Path.of(path).toAbsolutePath();
    if (!Files.isExecutable(file)) {
      throw stop(2, "bench: --peer " + path + " is no program\n");
    }
    return file;
  }

  /** Ends the process; to be thrown, so that the compiler knows. */
  private static IllegalStateException stop(int exitCode, String text) {
    (exitCode == 0 ? System.out : System.err).print(text);
    System.exit(exitCode);
    return new IllegalStateException();
  }
}

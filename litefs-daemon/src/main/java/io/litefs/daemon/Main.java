package io.litefs.daemon;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/** Entry point: parses the command line, runs the command, says in one line what went wrong. */
public final class Main {

  private final PrintStream out;
  private final PrintStream err;

  Main(PrintStream out, PrintStream err) {
    this.out = out;
    this.err = err;
  }

  public static void main(String[] args) {
    // One provider is in the jar; looking for others costs time at every start.
    System.setProperty("slf4j.provider", "ch.qos.logback.classic.spi.LogbackServiceProvider");
    System.setProperty("slf4j.internal.verbosity", "WARN");
    int exitCode = new Main(System.out, System.err).run(args);
    System.out.flush();
    System.err.flush();
    // Not System.exit: the node has been closed in order, and hooks of libraries have nothing to add.
    Runtime.getRuntime().halt(exitCode);
  }

  /** Runs a command to its end and returns its exit code. */
  int run(String... args) {
    // What follows "--" is the application's and must not be read as options of ours.
    int end = Arrays.asList(args).indexOf("--");
    List<String> command = end < 0 ? List.of() : List.of(args).subList(end + 1, args.length);
    String[] own = end < 0 ? args : Arrays.copyOf(args, end);

    CommandLine line = commandLine(end >= 0, command);
    try {
      return line.execute(own);
    } catch (RuntimeException e) {
      return failed(e, isDebug(own));
    }
  }

  private CommandLine commandLine(boolean separator, List<String> command) {
    CommandLine line =
        new CommandLine(new LitefsCommand(), new CommandFactory(out, err, separator, command));
    line.setOut(new java.io.PrintWriter(out, true));
    line.setErr(new java.io.PrintWriter(err, true));
    line.setParameterExceptionHandler((e, args) -> wrongUsage(e));
    line.setExecutionExceptionHandler(
        (e, failedLine, parsed) -> failed(e, isDebug(parsed.originalArgs().toArray(new String[0]))));
    return line;
  }

  private int wrongUsage(ParameterException e) {
    String name = e.getCommandLine().getCommandSpec().qualifiedName();
    String message = e.getMessage().lines().findFirst().orElse("wrong usage");
    err.println(
        "litefs: " + Character.toLowerCase(message.charAt(0)) + message.substring(1) + "; see '" + name + " --help'");
    return ExitCode.USAGE;
  }

  private int failed(Exception e, boolean debug) {
    if (e instanceof CommandException known) {
      known.getMessage().lines().forEach(line -> err.println("litefs: " + line));
      if (debug && known.getCause() != null) {
        known.getCause().printStackTrace(err);
      }
      return known.exitCode();
    }
    String message = e.getMessage() == null ? e.getClass().getName() : e.getMessage();
    err.println(
        "litefs: unexpected error: "
            + message.lines().findFirst().orElse("")
            + "; run again with --debug for the stack trace, and please report it");
    if (debug) {
      e.printStackTrace(err);
    }
    return ExitCode.FAILURE;
  }

  private static boolean isDebug(String[] args) {
    return Arrays.stream(args).anyMatch(arg -> arg.equals("--debug") || arg.equals("-debug"));
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.fuse.Keepers;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Entry point: parses the command line, runs the command, says in one line what went wrong. */
public final class Main
    implements CommandLine.IParameterExceptionHandler, CommandLine.IExecutionExceptionHandler {

  private final PrintStream out;
  private final PrintStream err;
  private final Supplier<Keepers> keepers;

  /**
   * @param keepers makes them, or waits until they are made; called by {@code mount}, once
   */
  Main(PrintStream out, PrintStream err, Supplier<Keepers> keepers) {
    this.out = out;
    this.err = err;
    this.keepers = keepers;
  }

  public static void main(String[] args) {
    // One provider is in the jar; looking for others costs time at every start.
    System.setProperty("slf4j.provider", "ch.qos.logback.classic.spi.LogbackServiceProvider");
    System.setProperty("slf4j.internal.verbosity", "WARN");
    boolean mounts = args.length > 0 && args[0].equals("mount");
    int exitCode =
        new Main(System.out, System.err, mounts ? startKeepers() : Keepers::start).run(args);
    System.out.flush();
    System.err.flush();
    // Not System.exit: the node has been closed in order, and hooks of libraries have nothing to
    // add.
    Runtime.getRuntime().halt(exitCode);
  }

  /**
   * Starts the keepers now: their table of descriptors must be made before there is a mount, a
   * socket or a log file to be in it. On a thread of its own, since binding libc takes as long as
   * reading the command line and the configuration.
   */
  private static Supplier<Keepers> startKeepers() {
    FutureTask<Keepers> starting = new FutureTask<>(Keepers::start);
    new Thread(starting, "litefs-start").start();
    return () -> {
      try {
        return starting.get();
      } catch (ExecutionException e) {
        throw new IllegalStateException(
            "cannot start the keepers: " + e.getCause().getMessage(), e.getCause());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      }
    };
  }

  /** Runs a command to its end and returns its exit code. */
  int run(String... args) {
    // What follows "--" is the application's and must not be read as options of ours.
    int end = Arrays.asList(args).indexOf("--");
    List<String> command = end < 0 ? List.of() : List.of(args).subList(end + 1, args.length);
    String[] own = end < 0 ? args : Arrays.copyOf(args, end);

    CommandLine line = commandLine(own, new CommandFactory(out, err, keepers, end >= 0, command));
    boolean oneCommand = !(line.getCommand() instanceof LitefsCommand);
    try {
      return line.execute(oneCommand ? Arrays.copyOfRange(own, 1, own.length) : own);
    } catch (RuntimeException e) {
      return failed(e, isDebug(own));
    }
  }

  /**
   * The model of the whole command line, or of one command only if the first word is one: the rest
   * of the model would be a tenth of the time to mount.
   */
  private CommandLine commandLine(String[] args, CommandFactory factory) {
    Class<?> command = args.length == 0 ? null : LitefsCommand.COMMANDS.get(args[0]);
    CommandLine line =
        command == null
            ? new CommandLine(new LitefsCommand(), factory)
            : new CommandLine(command, factory).setCommandName("litefs " + args[0]);
    line.setOut(new PrintWriter(out, true));
    line.setErr(new PrintWriter(err, true));
    line.setParameterExceptionHandler(this);
    line.setExecutionExceptionHandler(this);
    return line;
  }

  @Override
  public int handleParseException(ParameterException e, String[] args) {
    return wrongUsage(e);
  }

  @Override
  public int handleExecutionException(
      Exception e, CommandLine line, CommandLine.ParseResult parsed) {
    return failed(e, isDebug(parsed.originalArgs().toArray(new String[0])));
  }

  private int wrongUsage(ParameterException e) {
    CommandLine line = e.getCommandLine();
    String message = e.getMessage().lines().findFirst().orElse("wrong usage");
    if (e instanceof UnmatchedArgumentException unmatched) {
      String first = unmatched.getUnmatched().get(0);
      if (!line.getSubcommands().isEmpty() && !unmatched.isUnknownOption()) {
        message = "there is no command '" + first + "'";
      }
      // The first is the nearest.
      List<String> similar = unmatched.getSuggestions();
      message += similar.isEmpty() ? "" : "; did you mean '" + similar.get(0) + "'?";
    }
    err.println(
        "litefs: "
            + Character.toLowerCase(message.charAt(0))
            + message.substring(1)
            + "; see '"
            + line.getCommandSpec().qualifiedName()
            + " --help'");
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

package io.litefs.daemon;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import java.io.PrintStream;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code litefs databases [--json]}. */
@Command(
    name = "databases",
    description =
        "Lists the databases of a running node: size, journal mode, position, log, locks.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class DatabasesCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Mixin ApiOptions api;

  @Option(
      names = {"-json", "--json"},
      description = "Print a JSON object.")
  boolean json;

  private final PrintStream out;

  DatabasesCommand(PrintStream out) {
    this.out = out;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    out.print(
        api.client()
            .fetch("/litefs/status?view=databases", json ? "application/json" : "text/plain"));
    return ExitCode.OK;
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.ExitCode;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code litefs diverged}: what was kept of databases that left the primary's history. */
@Command(
    name = "diverged",
    description =
        "Shows what this node kept of its own before it took over another history from a primary.",
    subcommands = {DivergedListCommand.class, DivergedExportCommand.class},
    synopsisSubcommandLabel = "COMMAND",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class DivergedCommand implements Runnable {

  @Mixin CommonOptions common;

  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new CommandLine.ParameterException(
        spec.commandLine(),
        "no command given; commands are " + String.join(", ", spec.subcommands().keySet()));
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.ExitCode;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code litefs cluster}: which cluster this node's data belongs to. */
@Command(
    name = "cluster",
    description = "Says which cluster the data of this node belongs to.",
    subcommands = {ClusterAdoptCommand.class},
    synopsisSubcommandLabel = "COMMAND",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class ClusterCommand implements Runnable {

  @Mixin CommonOptions common;

  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new CommandLine.ParameterException(
        spec.commandLine(),
        "no command given; commands are " + String.join(", ", spec.subcommands().keySet()));
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.ExitCode;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** The command without a subcommand: it only explains itself. */
@Command(
    name = "litefs",
    description = "Mounts a directory whose SQLite databases are replicated to other nodes.",
    subcommands = {
      MountCommand.class,
      StatusCommand.class,
      DatabasesCommand.class,
      DoctorCommand.class,
      ConfigCommand.class,
      LtxCommand.class,
      RunCommand.class,
      WaitCommand.class,
      ImportCommand.class,
      ExportCommand.class,
      VerifyCommand.class,
      DivergedCommand.class,
      PromoteCommand.class,
      ClusterCommand.class,
      DemoCommand.class,
      VersionCommand.class
    },
    synopsisSubcommandLabel = "COMMAND",
    footer = {
      "",
      "'litefs COMMAND --help' tells more. Long options may be written with one dash or two.",
      "Try it: 'litefs demo' starts a primary and a replica on this machine."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class LitefsCommand implements Runnable {

  /** The classes of the commands by name, the same as in the annotation. */
  static final Map<String, Class<?>> COMMANDS =
      Map.ofEntries(
          Map.entry("mount", MountCommand.class),
          Map.entry("status", StatusCommand.class),
          Map.entry("databases", DatabasesCommand.class),
          Map.entry("doctor", DoctorCommand.class),
          Map.entry("config", ConfigCommand.class),
          Map.entry("ltx", LtxCommand.class),
          Map.entry("run", RunCommand.class),
          Map.entry("wait", WaitCommand.class),
          Map.entry("import", ImportCommand.class),
          Map.entry("export", ExportCommand.class),
          Map.entry("verify", VerifyCommand.class),
          Map.entry("diverged", DivergedCommand.class),
          Map.entry("promote", PromoteCommand.class),
          Map.entry("cluster", ClusterCommand.class),
          Map.entry("demo", DemoCommand.class),
          Map.entry("version", VersionCommand.class));

  @Mixin CommonOptions common;

  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new CommandLine.ParameterException(
        spec.commandLine(),
        "no command given; commands are " + String.join(", ", spec.subcommands().keySet()));
  }
}

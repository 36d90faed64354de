package io.litefs.daemon;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import java.io.PrintStream;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code litefs config check|show}. */
@Command(
    name = "config",
    description = "Looks at a configuration without starting anything.",
    subcommands = {ConfigCommand.Check.class, ConfigCommand.Show.class},
    synopsisSubcommandLabel = "COMMAND",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_USAGE})
final class ConfigCommand implements Runnable {

  @Mixin CommonOptions common;

  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new CommandLine.ParameterException(
        spec.commandLine(),
        "no command given; commands are " + String.join(", ", spec.subcommands().keySet()));
  }

  /** {@code litefs config check}. */
  @Command(
      name = "check",
      description =
          "Says what is wrong with a configuration, each thing with its line, or that nothing is.",
      exitCodeListHeading = "%nExit codes:%n",
      exitCodeList = {"0:the configuration can be used", "2:it cannot"})
  static final class Check implements Callable<Integer> {

    @Mixin CommonOptions common;

    @Mixin ConfigFileOptions file;

    private final PrintStream out;

    Check(PrintStream out) {
      this.out = out;
    }

    @Override
    public Integer call() throws CommandException {
      Unavailable.refuse(file.load());
      out.println(file.file() + " is right");
      return ExitCode.OK;
    }
  }

  /** {@code litefs config show}. */
  @Command(
      name = "show",
      description =
          "Prints the configuration with variables replaced and defaults filled in, as a file that means the same.",
      exitCodeListHeading = "%nExit codes:%n",
      exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_USAGE})
  static final class Show implements Callable<Integer> {

    @Mixin CommonOptions common;

    @Mixin ConfigFileOptions file;

    private final PrintStream out;

    Show(PrintStream out) {
      this.out = out;
    }

    @Override
    public Integer call() throws CommandException {
      out.print(ConfigYaml.of(file.load()));
      return ExitCode.OK;
    }
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.demo.Demo;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code litefs demo}. */
@Command(
    name = "demo",
    description = {
      "Starts a primary and a replica on this machine, mounted at DIR/primary and DIR/replica, and says what to try. Ctrl-C stops "
          + "both and removes DIR with all its data.",
      "",
      "Installs the FUSE library if it is missing, after asking unless run by root."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class DemoCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Option(
      names = {"-check", "--check"},
      description =
          "Write through the primary in both journal modes, compare what arrives on the replica, print how long it took, and end.")
  boolean check;

  @Option(
      names = {"-y", "-yes", "--yes"},
      description = "Install missing packages without asking.")
  boolean yes;

  @Parameters(
      arity = "0..1",
      paramLabel = "DIR",
      defaultValue = "./demo",
      description = "Where to mount (default: ${DEFAULT-VALUE}).")
  Path dir;

  private final PrintStream out;
  private final PrintStream err;

  DemoCommand(PrintStream out, PrintStream err) {
    this.out = out;
    this.err = err;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    return new Demo(dir, check, yes, out, err).run();
  }
}

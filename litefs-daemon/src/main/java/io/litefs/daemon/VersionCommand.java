package io.litefs.daemon;

import io.litefs.daemon.client.ExitCode;
import java.io.PrintStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code litefs version}. */
@Command(
    name = "version",
    description = "Prints the version of litefs and of the Java runtime.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_USAGE})
final class VersionCommand implements Runnable {

  @Mixin CommonOptions common;

  private final PrintStream out;

  VersionCommand(PrintStream out) {
    this.out = out;
  }

  /** The version in the jar's manifest; {@code development} when run from class files. */
  static String version() {
    String version = VersionCommand.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  @Override
  public void run() {
    out.println("litefs " + version() + " (Java " + System.getProperty("java.version") + ")");
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.FileReason;
import io.litefs.daemon.client.Progress;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code litefs import -name DB [-url U] FILE}. */
@Command(
    name = "import",
    description =
        "Sends a SQLite database to the primary, which creates or replaces its database of that name in one transaction.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class ImportCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Option(
      names = {"-name", "--name"},
      required = true,
      paramLabel = "DB",
      description = "Name of the database in the mount.")
  String name;

  @Option(
      names = {"-url", "--url"},
      paramLabel = "URL",
      defaultValue = ApiClient.DEFAULT_URL,
      description = "API of the primary (default: ${DEFAULT-VALUE}).")
  String url;

  @Parameters(
      paramLabel = "FILE",
      description = "The database to send. Nobody may be writing to it.")
  Path file;

  private final PrintStream err;

  ImportCommand(PrintStream err) {
    this.err = err;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    ApiClient api = ApiClient.at(url);
    long size;
    try (InputStream opened = Files.newInputStream(file)) {
      size = Files.size(file);
      // Asked first: a refusal in the middle of a large body would look like a broken connection.
      ApiClient.Info info = api.info();
      if (!info.isPrimary()) {
        throw new CommandException(
            "cannot import: the node at "
                + url
                + " is not the primary"
                + (info.primaryHostname().isEmpty() ? "" : ", " + info.primaryHostname() + " is")
                + "; give the primary's address with -url");
      }
      try (Progress progress = Progress.onTerminal(err, "importing " + name, size)) {
        api.importDatabase(name, size, () -> progress.count(opened));
      }
    } catch (IOException | UncheckedIOException e) {
      throw new CommandException(FileReason.of("cannot read " + file, e), e);
    }
    return ExitCode.OK;
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code litefs promote [-url U]}. */
@Command(
    name = "promote",
    description = {
      "Makes a node the primary: the present primary hands its lease over.",
      "",
      "Writers wait meanwhile, no commit is lost. Returns when the node is primary."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class PromoteCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Option(
      names = {"-url", "--url"},
      paramLabel = "URL",
      defaultValue = ApiClient.DEFAULT_URL,
      description = "API of the node to promote (default: ${DEFAULT-VALUE}).")
  String url;

  @Override
  public Integer call() throws CommandException, InterruptedException {
    ApiClient.at(url).promote();
    return ExitCode.OK;
  }
}

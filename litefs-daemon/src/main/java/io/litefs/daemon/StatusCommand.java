package io.litefs.daemon;

import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.Terminal;
import java.io.PrintStream;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code litefs status [--watch] [--json]}. */
@Command(
    name = "status",
    description = {
      "Shows what a running node is and has: role, lease, databases with positions and locks, replicas, recent events.",
      "",
      "The same is at http://HOST:20202/litefs/status for a browser."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class StatusCommand implements Callable<Integer> {

  private static final String CLEAR = "\033[H\033[2J";

  @Mixin CommonOptions common;

  @Mixin ApiOptions api;

  @Option(
      names = {"-watch", "--watch"},
      description =
          "Go on: show it again with each change, and every 2 seconds. With --json one object a line.")
  boolean watch;

  @Option(
      names = {"-json", "--json"},
      description = "Print a JSON object; docs/monitoring.md describes it.")
  boolean json;

  private final PrintStream out;

  StatusCommand(PrintStream out) {
    this.out = out;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    ApiClient client = api.client();
    if (!watch) {
      out.print(client.fetch("/litefs/status", json ? "application/json" : "text/plain"));
      return ExitCode.OK;
    }
    String clear = Terminal.isOutput() ? CLEAR : "";
    client.follow(
        "/litefs/status/stream?form=" + (json ? "json" : "text"),
        event -> {
          out.print(json ? event.replace("\n", "").strip() : clear + event);
          out.println();
          out.flush();
        });
    throw new CommandException("the node has stopped");
  }
}

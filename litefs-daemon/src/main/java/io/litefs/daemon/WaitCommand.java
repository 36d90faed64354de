package io.litefs.daemon;

import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import java.io.PrintStream;
import java.time.Duration;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code litefs wait DB TXID}. */
@Command(
    name = "wait",
    description =
        "Waits until a node, or replicas of it, have reached a transaction of a database; prints the node's position.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:it is reached",
      "1:it is not, within the time; or the node cannot be asked",
      ExitCode.HELP_USAGE
    })
final class WaitCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Parameters(index = "0", paramLabel = "DB", description = "Name of the database.")
  String database;

  @Parameters(
      index = "1",
      paramLabel = "TXID",
      description =
          "Up to 16 hex digits, as DB-pos in the mount has before the slash; leading zeros may be left out.")
  String txid;

  @Option(
      names = {"-replicas", "--replicas"},
      paramLabel = "N",
      defaultValue = "0",
      description = "Wait for so many replicas of the node, which must be the primary.")
  int replicas;

  @Option(
      names = {"-timeout", "--timeout"},
      paramLabel = "SECONDS",
      defaultValue = "60",
      description = "How long, up to 60 seconds (default: ${DEFAULT-VALUE}).")
  double seconds;

  @Option(
      names = {"-url", "--url"},
      paramLabel = "URL",
      defaultValue = ApiClient.DEFAULT_URL,
      description = "API of the node (default: ${DEFAULT-VALUE}).")
  String url;

  private final PrintStream out;

  WaitCommand(PrintStream out) {
    this.out = out;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    Duration timeout = Duration.ofMillis((long) (seconds * 1000));
    out.println(ApiClient.at(url).await(database, paddedTxid(), replicas, timeout));
    return ExitCode.OK;
  }

  private String paddedTxid() throws CommandException {
    if (!txid.matches("[0-9a-fA-F]{1,16}")) {
      throw CommandException.usage(
          "'" + txid + "' is no TXID: up to 16 hex digits, as 'litefs databases' shows them", null);
    }
    return "0".repeat(16 - txid.length()) + txid;
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.exec.ForwardedSignal;
import io.litefs.daemon.exec.Supervisor;
import java.io.PrintStream;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code litefs run}: a command on a node that is fit for it. */
@Command(
    name = "run",
    description = {
      "Runs a command beside a litefs daemon, when the node is what the command needs.",
      "",
      "With -with-halt-lock-on the command may write to the database although this node is a replica: the primary's own "
          + "writers wait until the command ends. On the primary the option changes nothing."
    },
    customSynopsis = "litefs run [OPTIONS] -- CMD ARG...",
    footer = {
      "",
      "SIGHUP, SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 are passed on to CMD. If the halt lock is lost while CMD runs, its writes fail "
          + "and a line on standard error says why."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:CMD has succeeded; or, with -if-candidate, this node is no candidate and CMD was not run",
      "1:CMD was not run; the reason is on standard error",
      ExitCode.HELP_USAGE,
      "CMD's:128 and the signal's number if a signal ended it, 126 if it cannot be run, 127 if it is not found"
    })
final class RunCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Option(
      names = {"-promote", "--promote"},
      arity = "0..1",
      fallbackValue = "true",
      hideParamSyntax = true,
      description = "Make this node the primary first.")
  boolean promote;

  @Option(
      names = {"-if-candidate", "--if-candidate"},
      arity = "0..1",
      fallbackValue = "true",
      hideParamSyntax = true,
      description = "Do nothing if this node is no candidate (lease.candidate).")
  boolean ifCandidate;

  @Option(
      names = {"-with-halt-lock-on", "--with-halt-lock-on"},
      paramLabel = "DB",
      description = "Hold the halt lock of this database while the command runs.")
  String database;

  @Option(
      names = {"-url", "--url"},
      paramLabel = "URL",
      defaultValue = ApiClient.DEFAULT_URL,
      description = "API of this node (default: ${DEFAULT-VALUE}).")
  String url;

  private final PrintStream err;
  private final List<String> command;

  RunCommand(PrintStream err, List<String> command) {
    this.err = err;
    this.command = command;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    if (command.isEmpty()) {
      throw CommandException.usage(
          "there is no command; write it after '--', see 'litefs run --help'", null);
    }
    ApiClient api = ApiClient.at(url);
    if (ifCandidate && !api.info().candidate()) {
      return ExitCode.OK;
    }
    if (promote) {
      api.promote();
    }
    if (database == null) {
      return supervise();
    }
    // A signal that ends this process here, before it has a command to pass it to, ends the
    // connection, and with it the hold.
    try (ApiClient.Hold hold =
        api.hold(
            database,
            reason ->
                err.println(
                    "litefs: the halt lock on '"
                        + database
                        + "' is lost: "
                        + reason
                        + "; writes of '"
                        + command.get(0)
                        + "' fail"))) {
      return supervise();
    }
  }

  private int supervise() throws InterruptedException {
    Supervisor supervisor = new Supervisor(List.of(command));
    ForwardedSignal.handleAll(supervisor::signal);
    return supervisor.run();
  }
}

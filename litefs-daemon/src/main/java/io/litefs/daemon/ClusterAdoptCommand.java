package io.litefs.daemon;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.FileReason;
import io.litefs.store.DataDirectoryCluster;
import io.litefs.store.DirectoryLock;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code litefs cluster adopt ID}. */
@Command(
    name = "adopt",
    description = {
      "Declares that the data of this node is that of a cluster. For data that has no cluster id, "
          + "as from before there were any; the error 'not taking the lease' tells the id.",
      "",
      "What the cluster's primary does not have is archived when the node joins it. The daemon must not run."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class ClusterAdoptCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Mixin DataDirectoryOptions data;

  @Parameters(paramLabel = "ID", description = "The cluster's id: LFSC and 16 hex digits.")
  String id;

  private final PrintStream out;

  ClusterAdoptCommand(PrintStream out) {
    this.out = out;
  }

  @Override
  public Integer call() throws CommandException {
    Path dir = data.dir();
    try (DirectoryLock lock = DirectoryLock.tryLock(dir)) {
      if (lock == null) {
        throw new CommandException("a daemon uses " + dir + "; stop it, then adopt the cluster id");
      }
      DataDirectoryCluster.adopt(dir, id);
      out.println(dir + " belongs to cluster " + id);
      return ExitCode.OK;
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot adopt the cluster id", e), e);
    }
  }
}

package io.litefs.daemon;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.FileReason;
import io.litefs.daemon.client.Progress;
import io.litefs.store.ArchiveExport;
import io.litefs.store.DivergedArchive;
import io.litefs.store.DivergedArchives;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code litefs diverged export DB TIME FILE}. */
@Command(
    name = "export",
    description =
        "Writes the database of an archive into a file that SQLite opens. The daemon may run.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class DivergedExportCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Mixin DataDirectoryOptions data;

  @Parameters(
      index = "0",
      paramLabel = "DB",
      description = "Name of the database, as 'litefs diverged list' prints it.")
  String name;

  @Parameters(index = "1", paramLabel = "TIME", description = "Time of the archive, likewise.")
  String time;

  @Parameters(
      index = "2",
      paramLabel = "FILE",
      description = "Where to write it. An existing file is replaced once the copy is complete.")
  Path file;

  private final PrintStream err;

  DivergedExportCommand(PrintStream err) {
    this.err = err;
  }

  @Override
  public Integer call() throws CommandException {
    Path dir = data.dir();
    Path target = file.toAbsolutePath();
    Path temporary =
        target.resolveSibling(
            "." + target.getFileName() + ".export-" + ProcessHandle.current().pid());
    try {
      DivergedArchive archive = new DivergedArchives(dir).find(name, time);
      try (Progress progress =
          Progress.onTerminal(err, "exporting " + name, archive.pageCount() * archive.pageSize())) {
        ArchiveExport.write(archive, temporary, progress::advance);
      }
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot export to " + file, e), e);
    } finally {
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException e) {
        err.println("litefs: " + FileReason.of("cannot remove " + temporary, e));
      }
    }
    return ExitCode.OK;
  }
}

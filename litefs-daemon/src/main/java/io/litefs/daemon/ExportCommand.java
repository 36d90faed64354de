package io.litefs.daemon;

import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.FileReason;
import io.litefs.daemon.client.Progress;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code litefs export -name DB [-url U] FILE}. */
@Command(
    name = "export",
    description = "Copies a database, as of one position, from a running node into a file.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class ExportCommand implements Callable<Integer> {

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
      description = "API of the node (default: ${DEFAULT-VALUE}).")
  String url;

  @Parameters(
      paramLabel = "FILE",
      description = "Where to write it. An existing file is replaced once the copy is complete.")
  Path file;

  private final PrintStream err;

  ExportCommand(PrintStream err) {
    this.err = err;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    ApiClient api = ApiClient.at(url);
    Path target = file.toAbsolutePath();
    Path temporary =
        target.resolveSibling(
            "." + target.getFileName() + ".export-" + ProcessHandle.current().pid());
    try {
      api.export(name, (in, pos, size) -> save(in, size, temporary, target));
    } finally {
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException e) {
        err.println("litefs: " + FileReason.of("cannot remove " + temporary, e));
      }
    }
    return ExitCode.OK;
  }

  private void save(InputStream in, long size, Path temporary, Path target)
      throws IOException, CommandException {
    try (FileChannel out = open(temporary);
        Progress progress = Progress.onTerminal(err, "exporting " + name, size)) {
      byte[] buffer = new byte[1 << 16];
      long received = 0;
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        write(out, ByteBuffer.wrap(buffer, 0, n), temporary);
        received += n;
        progress.advance(n);
      }
      if (size >= 0 && received != size) {
        throw new IOException("it ended after " + received + " of " + size + " bytes");
      }
      out.force(true);
    }
    try {
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot write " + target, e), e);
    }
  }

  private static FileChannel open(Path temporary) throws CommandException {
    try {
      return FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot write " + temporary, e), e);
    }
  }

  /** Separate, so that a full disk is not taken for a broken connection. */
  private static void write(FileChannel out, ByteBuffer data, Path temporary)
      throws CommandException {
    try {
      while (data.hasRemaining()) {
        out.write(data);
      }
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot write " + temporary, e), e);
    }
  }
}

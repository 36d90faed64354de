package io.litefs.daemon;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.FileReason;
import io.litefs.daemon.client.Progress;
import io.litefs.daemon.ltx.LtxApply;
import io.litefs.daemon.ltx.LtxFiles;
import io.litefs.ltx.LtxCompactor;
import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxReader;
import io.litefs.ltx.LtxVerifier;
import io.litefs.ltx.Pos;
import io.litefs.ltx.TransactionHeader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code litefs ltx list|dump|verify|apply|compact}: works on transaction files alone. */
@Command(
    name = "ltx",
    description =
        "Looks into transaction (LTX) files, checks them, makes one of many, or applies them to a database file.",
    subcommands = {
      LtxCommand.ListFiles.class,
      LtxCommand.Dump.class,
      LtxCommand.Verify.class,
      LtxCommand.Apply.class,
      LtxCommand.Compact.class
    },
    synopsisSubcommandLabel = "COMMAND",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class LtxCommand implements Runnable {

  @Mixin CommonOptions common;

  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new CommandLine.ParameterException(
        spec.commandLine(),
        "no command given; commands are " + String.join(", ", spec.subcommands().keySet()));
  }

  /** What all of them take. */
  abstract static class OnFiles implements Callable<Integer> {

    @Mixin CommonOptions common;

    @Option(
        names = {"-v3", "--v3"},
        description = "The files are of LTX version 3, as Litestream writes them.")
    boolean version3;

    final PrintStream out;

    OnFiles(PrintStream out) {
      this.out = out;
    }

    abstract void run() throws IOException, CommandException;

    @Override
    public Integer call() throws CommandException {
      try {
        run();
        return ExitCode.OK;
      } catch (LtxException e) {
        throw new CommandException(e.getMessage(), e);
      } catch (IOException e) {
        String file = e instanceof java.nio.file.FileSystemException f ? f.getFile() : "LTX";
        throw new CommandException(FileReason.of(String.valueOf(file), e), e);
      }
    }

    static List<Path> expand(List<Path> paths) throws IOException, CommandException {
      List<Path> files = LtxFiles.expand(paths);
      if (files.isEmpty()) {
        throw CommandException.usage(
            "there is no LTX file in "
                + String.join(", ", paths.stream().map(Path::toString).toList())
                + "; a database's are in DATA-DIR/dbs/DB/ltx",
            null);
      }
      return files;
    }

    LtxReader open(Path file) throws IOException {
      return LtxFiles.open(file, version3);
    }
  }

  /** {@code litefs ltx list}. */
  @Command(
      name = "list",
      description =
          "One line for each file, from its header; a directory stands for the files in it.")
  static final class ListFiles extends OnFiles {

    @Parameters(arity = "1..*", paramLabel = "FILE|DIR", description = "What to list.")
    List<Path> paths;

    ListFiles(PrintStream out) {
      super(out);
    }

    @Override
    void run() throws IOException, CommandException {
      String line = "%-16s %-16s %10s %6s %9s  %-24s %-16s  %s%n";
      out.printf(
          line, "MIN TXID", "MAX TXID", "BYTES", "PAGE", "COMMIT", "TIME", "PRE-APPLY", "FILE");
      for (Path file : expand(paths)) {
        try (LtxReader reader = open(file)) {
          TransactionHeader header = reader.header();
          out.printf(
              line,
              header.minTxid(),
              header.maxTxid(),
              java.nio.file.Files.size(file),
              header.pageSize(),
              header.commit(),
              Instant.ofEpochMilli(header.timestampMillis()),
              header.isSnapshot() ? "snapshot" : header.preApply(),
              file);
        }
      }
    }
  }

  /** {@code litefs ltx dump}. */
  @Command(name = "dump", description = "Prints header, pages with their checksums, and trailer.")
  static final class Dump extends OnFiles {

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "What to print.")
    List<Path> files;

    Dump(PrintStream out) {
      super(out);
    }

    @Override
    void run() throws IOException {
      for (Path file : files) {
        try (LtxReader reader = open(file)) {
          TransactionHeader header = reader.header();
          out.println("file        " + file);
          out.println("txid        " + header.minTxid() + " to " + header.maxTxid());
          out.println("page size   " + header.pageSize());
          out.println("commit      " + header.commit() + " pages");
          out.println("time        " + Instant.ofEpochMilli(header.timestampMillis()));
          out.println(
              "pre-apply   " + (header.isSnapshot() ? "none: a snapshot" : header.preApply()));
          out.println("wal         offset " + header.walOffset() + ", size " + header.walSize());
          out.printf("salt        %08x %08x%n", header.walSalt1(), header.walSalt2());
          out.printf("node        %016X%n", header.nodeId());
          ByteBuffer page = ByteBuffer.allocate(header.pageSize());
          for (long pgno = reader.next(page); pgno != 0; pgno = reader.next(page.clear())) {
            out.printf("page        %d %016x%n", pgno, reader.pageChecksum());
          }
          out.println("post-apply  " + reader.trailer().postApply());
          out.println("file sum    " + reader.trailer().file());
        }
      }
    }
  }

  /** {@code litefs ltx verify}. */
  @Command(
      name = "verify",
      description =
          "Checks each file whole, and that each follows the one before; a directory stands for the files in it, in order.")
  static final class Verify extends OnFiles {

    @Parameters(arity = "1..*", paramLabel = "FILE|DIR", description = "What to check.")
    List<Path> paths;

    Verify(PrintStream out) {
      super(out);
    }

    @Override
    void run() throws IOException, CommandException {
      LtxVerifier.Summary before = null;
      long bytes = 0;
      List<Path> files = expand(paths);
      for (Path file : files) {
        try (LtxReader reader = open(file)) {
          LtxVerifier.Summary summary = LtxVerifier.verify(reader);
          if (before != null) {
            LtxVerifier.checkFollows(before, summary);
          }
          before = summary;
          bytes += java.nio.file.Files.size(file);
        }
      }
      out.println(
          "sound: "
              + files.size()
              + (files.size() == 1 ? " file, " : " files, ")
              + Progress.size(bytes)
              + ", to position "
              + before.position());
    }
  }

  /** {@code litefs ltx apply}. */
  @Command(
      name = "apply",
      description = {
        "Applies files, in order, to a plain SQLite database file that nobody uses; it is made if the first file is a snapshot.",
        "The database is replaced only once all files are applied and its checksum is the last one's."
      })
  static final class Apply extends OnFiles {

    @Parameters(index = "0", paramLabel = "DATABASE", description = "The database file.")
    Path database;

    @Parameters(
        index = "1..*",
        arity = "1..*",
        paramLabel = "FILE|DIR",
        description = "What to apply.")
    List<Path> paths;

    Apply(PrintStream out) {
      super(out);
    }

    @Override
    void run() throws IOException, CommandException {
      Pos pos = new LtxApply(database, version3).apply(LtxFiles.expand(paths));
      out.println(database + " is at " + pos);
    }
  }

  /** {@code litefs ltx compact}. */
  @Command(
      name = "compact",
      description =
          "Makes one file of several that follow each other, with the newest version of each page.")
  static final class Compact extends OnFiles {

    @Option(
        names = {"-o", "--output"},
        required = true,
        paramLabel = "FILE",
        description = "Where to write the result.")
    Path output;

    @Parameters(
        arity = "1..*",
        paramLabel = "FILE|DIR",
        description = "The files, the oldest first.")
    List<Path> paths;

    Compact(PrintStream out) {
      super(out);
    }

    @Override
    void run() throws IOException, CommandException {
      LtxFiles.compact(
          LtxFiles.expand(paths),
          output,
          version3,
          version3 ? LtxCompactor.Format.V3 : LtxCompactor.Format.V1_LZ4);
      out.println(output);
    }
  }
}

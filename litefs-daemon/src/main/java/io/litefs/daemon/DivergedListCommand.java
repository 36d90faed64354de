package io.litefs.daemon;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.FileReason;
import io.litefs.daemon.client.Progress;
import io.litefs.ltx.Pos;
import io.litefs.store.DivergedArchive;
import io.litefs.store.DivergedArchives;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code litefs diverged list [--json]}. */
@Command(
    name = "list",
    description = "Lists the archives of a data directory, the oldest first. The daemon may run.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {ExitCode.HELP_OK, ExitCode.HELP_FAILURE, ExitCode.HELP_USAGE})
final class DivergedListCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Mixin DataDirectoryOptions data;

  @Option(
      names = {"-json", "--json"},
      description = "Print an array of JSON objects.")
  boolean json;

  private final PrintStream out;

  DivergedListCommand(PrintStream out) {
    this.out = out;
  }

  @Override
  public Integer call() throws CommandException {
    Path dir = data.dir();
    try {
      List<DivergedArchive> archives = new DivergedArchives(dir).list();
      if (json) {
        out.println(json(archives));
      } else if (archives.isEmpty()) {
        out.println("no database has diverged");
      } else {
        print(archives);
      }
      return ExitCode.OK;
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot read the archives in " + dir, e), e);
    }
  }

  private void print(List<DivergedArchive> archives) {
    String line = "%-24s %-20s %8s  %-33s  %-33s  %s%n";
    out.printf(line, "DB", "TIME", "SIZE", "POSITION HERE", "POSITION OF THE PRIMARY", "BECAUSE");
    for (DivergedArchive archive : archives) {
      out.printf(
          line,
          archive.database(),
          archive.time(),
          Progress.size(archive.bytes()),
          archive.position(),
          archive.primaryPosition() == null ? "none" : archive.primaryPosition(),
          archive.reason().text());
    }
  }

  private static String json(List<DivergedArchive> archives) throws IOException {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(text).useDefaultPrettyPrinter()) {
      json.writeStartArray();
      for (DivergedArchive archive : archives) {
        json.writeStartObject();
        json.writeStringField("db", archive.database());
        json.writeStringField("time", archive.time());
        json.writeStringField("path", archive.path().toString());
        json.writeStringField("reason", archive.reason().name());
        json.writeStringField("position", archive.position().toString());
        optional(json, "agreedPosition", archive.agreed());
        optional(json, "primaryPosition", archive.primaryPosition());
        json.writeStringField("primaryNode", archive.primaryNode());
        json.writeStringField("clusterID", archive.clusterId());
        json.writeNumberField("pageSize", archive.pageSize());
        json.writeNumberField("pageCount", archive.pageCount());
        json.writeStringField("content", archive.content().name());
        json.writeNumberField("bytes", archive.bytes());
        json.writeEndObject();
      }
      json.writeEndArray();
    }
    return text.toString();
  }

  private static void optional(JsonGenerator json, String name, Pos pos) throws IOException {
    if (pos != null) {
      json.writeStringField(name, pos.toString());
    }
  }
}

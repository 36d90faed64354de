package io.litefs.daemon;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.FileReason;
import io.litefs.daemon.client.Progress;
import io.litefs.ltx.Pos;
import io.litefs.store.DatabaseVerification;
import io.litefs.store.DirectoryLock;
import io.litefs.store.PageVerification;
import io.litefs.store.Quarantine;
import io.litefs.store.VerifyReport;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code litefs verify [DB]}. */
@Command(
    name = "verify",
    description = {
      "Verifies the databases of a data directory: every transaction (LTX) file, that they follow each other, and that the pages "
          + "have the checksum of the last one. Changes nothing.",
      "",
      "While a daemon uses the directory, the pages come from its API (an export), so that they are those of one position; else they are read from the files, "
          + "and no daemon can start meanwhile."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:all is sound",
      "1:something is damaged, or could not be verified; standard output says what, standard error why not",
      ExitCode.HELP_USAGE
    })
final class VerifyCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Mixin DataDirectoryOptions data;

  @Option(
      names = {"-url", "--url"},
      paramLabel = "URL",
      description =
          "API of the daemon, if one runs (default: http.addr of the configuration, or "
              + ApiClient.DEFAULT_URL
              + ").")
  String url;

  @Option(
      names = {"-json", "--json"},
      description = "Print a JSON object.")
  boolean json;

  @Parameters(
      arity = "0..1",
      paramLabel = "DB",
      description = "Name of the only database to verify.")
  String name;

  private final PrintStream out;
  private final PrintStream err;

  VerifyCommand(PrintStream out, PrintStream err) {
    this.out = out;
    this.err = err;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    Path dir = data.dir();
    List<VerifyReport> reports = new ArrayList<>();
    List<Quarantine.Entry> missing;
    try (DirectoryLock lock = DirectoryLock.tryLock(dir)) {
      missing =
          Quarantine.list(dir).stream()
              .filter(entry -> !entry.replaced())
              .filter(entry -> name == null || name.equals(entry.database()))
              .toList();
      List<Path> databases = databases(dir, !missing.isEmpty());
      long total = 0;
      for (Path database : databases) {
        total += DatabaseVerification.bytes(database);
      }
      ApiClient api = lock == null ? ApiClient.at(url == null ? data.url() : url) : null;
      try (Progress progress = Progress.onTerminal(err, "verifying " + dir, total)) {
        PageVerification.Pace pace = progress::advance;
        for (Path database : databases) {
          reports.add(
              api == null
                  ? DatabaseVerification.atRest(database, pace)
                  : atWork(api, database, pace));
        }
      }
    } catch (IOException e) {
      throw new CommandException(FileReason.of("cannot verify " + dir, e), e);
    }
    if (json) {
      out.println(json(reports, missing));
    } else {
      reports.forEach(this::print);
      missing.forEach(entry -> out.println(Quarantine.message(entry)));
    }
    return isSound(reports, missing) ? ExitCode.OK : ExitCode.FAILURE;
  }

  private List<Path> databases(Path dir, boolean mayBeNone) throws IOException, CommandException {
    List<Path> databases = new ArrayList<>();
    Path parent = dir.resolve("dbs");
    if (Files.isDirectory(parent)) {
      try (DirectoryStream<Path> all = Files.newDirectoryStream(parent, Files::isDirectory)) {
        for (Path database : all) {
          if (name == null || database.getFileName().toString().equals(name)) {
            databases.add(database);
          }
        }
      }
    }
    if (name != null && databases.isEmpty() && !mayBeNone) {
      throw CommandException.usage("there is no database '" + name + "' in " + parent, null);
    }
    databases.sort(null);
    return databases;
  }

  private static VerifyReport atWork(ApiClient api, Path dir, PageVerification.Pace pace)
      throws CommandException, InterruptedException, IOException {
    VerifyReport[] report = new VerifyReport[1];
    InterruptedException[] interrupted = new InterruptedException[1];
    boolean exists =
        api.exportAsItIs(
            dir.getFileName().toString(),
            (in, pos, size) -> {
              if (pos.isEmpty() || size < 0) {
                throw new CommandException(
                    "the node does not say which position it exports; is it another program's?");
              }
              try {
                report[0] = DatabaseVerification.atWork(dir, Pos.parse(pos), in, size, pace);
              } catch (InterruptedException e) {
                interrupted[0] = e;
              }
            });
    if (interrupted[0] != null) {
      throw interrupted[0];
    }
    return exists ? report[0] : DatabaseVerification.atWork(dir, null, null, 0, pace);
  }

  private void print(VerifyReport report) {
    out.printf(
        "%s: %s at position %s: %d LTX files (%s), %d pages%n",
        report.database(),
        report.isSound() ? "sound" : "DAMAGED",
        report.position(),
        report.ltxFiles(),
        Progress.size(report.ltxBytes()),
        report.pages());
    report.damages().forEach(damage -> print("damaged", damage));
    report.notes().forEach(note -> print("note", note));
  }

  private void print(String kind, VerifyReport.Finding finding) {
    out.printf("  %s: %s: %s; %s%n", kind, finding.file(), finding.reason(), finding.remedy());
  }

  private static boolean isSound(List<VerifyReport> reports, List<Quarantine.Entry> missing) {
    return missing.isEmpty() && reports.stream().allMatch(VerifyReport::isSound);
  }

  private static String json(List<VerifyReport> reports, List<Quarantine.Entry> missing) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(text).useDefaultPrettyPrinter()) {
      json.writeStartObject();
      json.writeBooleanField("sound", isSound(reports, missing));
      json.writeArrayFieldStart("databases");
      for (VerifyReport report : reports) {
        json.writeStartObject();
        json.writeStringField("db", report.database());
        json.writeBooleanField("sound", report.isSound());
        json.writeStringField("position", report.position().toString());
        json.writeNumberField("ltxFiles", report.ltxFiles());
        json.writeNumberField("ltxBytes", report.ltxBytes());
        json.writeNumberField("pages", report.pages());
        findings(json, "damages", report.damages());
        findings(json, "notes", report.notes());
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeArrayFieldStart("quarantine");
      for (Quarantine.Entry entry : missing) {
        json.writeStartObject();
        json.writeStringField("db", entry.database());
        json.writeStringField("since", entry.since().toString());
        json.writeStringField("path", entry.path().toString());
        json.writeStringField("reason", entry.reason());
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory failed", e);
    }
    return text.toString();
  }

  private static void findings(
      JsonGenerator json, String field, List<VerifyReport.Finding> findings) throws IOException {
    json.writeArrayFieldStart(field);
    for (VerifyReport.Finding finding : findings) {
      json.writeStartObject();
      json.writeStringField("file", finding.file().toString());
      json.writeStringField("reason", finding.reason());
      json.writeStringField("remedy", finding.remedy());
      json.writeEndObject();
    }
    json.writeEndArray();
  }
}

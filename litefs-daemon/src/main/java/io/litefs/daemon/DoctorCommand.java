package io.litefs.daemon;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.doctor.Doctor;
import io.litefs.daemon.doctor.Finding;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code litefs doctor}. */
@Command(
    name = "doctor",
    description = {
      "Checks what litefs needs from this machine: FUSE, kernel, directories, ports, the primary or Consul, clocks, SQLite.",
      "Changes nothing. Whatever is missing is named with what to do."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:nothing is missing; there may be warnings",
      "1:something is missing",
      ExitCode.HELP_USAGE
    })
final class DoctorCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Mixin ConfigFileOptions file;

  @Option(
      names = {"-json", "--json"},
      description = "Print an array of JSON objects.")
  boolean json;

  private final PrintStream out;

  DoctorCommand(PrintStream out) {
    this.out = out;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    List<Finding> findings = new Doctor(file.loadOrDefaults()).examine();
    if (json) {
      out.println(json(findings));
    } else {
      for (Finding finding : findings) {
        out.printf("%-4s  %-16s %s%n", finding.level(), finding.what(), finding.text());
        if (!finding.remedy().isEmpty()) {
          out.printf("      %-16s -> %s%n", "", finding.remedy());
        }
      }
    }
    return findings.stream().anyMatch(finding -> finding.level() == Finding.Level.FAIL)
        ? ExitCode.FAILURE
        : ExitCode.OK;
  }

  private static String json(List<Finding> findings) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(text).useDefaultPrettyPrinter()) {
      json.writeStartArray();
      for (Finding finding : findings) {
        json.writeStartObject();
        json.writeStringField("level", finding.level().name().toLowerCase(Locale.ROOT));
        json.writeStringField("what", finding.what());
        json.writeStringField("text", finding.text());
        json.writeStringField("remedy", finding.remedy());
        json.writeEndObject();
      }
      json.writeEndArray();
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory failed", e);
    }
    return text.toString();
  }
}

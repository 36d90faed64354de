package io.litefs.daemon.demo;

import io.litefs.daemon.client.CommandException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How to start litefs once more: the same Java, the same options, the same class data archive as
 * this process.
 *
 * @param words up to the main class or the jar, included
 */
public record JavaCommand(List<String> words) {

  private static final String MAIN_CLASS = "io.litefs.daemon.Main";

  /** This process's own. */
  public static JavaCommand own() throws CommandException {
    try {
      String line = Files.readString(Path.of("/proc/self/cmdline"), StandardCharsets.UTF_8);
      return of(Arrays.asList(line.split("\0")));
    } catch (IOException e) {
      throw new CommandException(
          "cannot find out how this process was started: " + e.getMessage(), e);
    }
  }

  /**
   * Takes the beginning of {@code commandLine} up to where the arguments of litefs itself begin.
   */
  static JavaCommand of(List<String> commandLine) throws CommandException {
    int end = commandLine.indexOf(MAIN_CLASS);
    int jar = commandLine.indexOf("-jar");
    if (end < 0 && jar >= 0) {
      end = jar + 1;
    }
    if (end < 0 || end >= commandLine.size()) {
      throw new CommandException(
          "cannot find out how this process was started: no " + MAIN_CLASS + " in " + commandLine);
    }
    return new JavaCommand(List.copyOf(commandLine.subList(0, end + 1)));
  }

  List<String> with(String... arguments) {
    List<String> all = new ArrayList<>(words);
    all.addAll(List.of(arguments));
    return all;
  }
}

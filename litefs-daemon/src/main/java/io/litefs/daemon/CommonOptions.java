package io.litefs.daemon;

import picocli.CommandLine.Option;

/** Options that every command has. */
final class CommonOptions {

  @Option(
      names = {"-h", "--help", "-help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;

  @Option(
      names = {"--debug", "-debug"},
      arity = "0..1",
      fallbackValue = "true",
      hideParamSyntax = true,
      description = "Write debug messages, and stack traces of errors.")
  boolean debug;
}

package io.litefs.daemon;

import io.litefs.config.ConfigException;
import io.litefs.config.ConfigLoader;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.CommandException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Says which configuration a command looks at. */
final class ConfigFileOptions {

  @Option(
      names = {"-config", "--config"},
      paramLabel = "FILE",
      description =
          "The configuration (default: the first litefs.yml in the working directory, the home directory and /etc).")
  Path config;

  @Option(
      names = {"-no-expand-env", "--no-expand-env"},
      arity = "0..1",
      fallbackValue = "true",
      hideParamSyntax = true,
      description = "Leave $VAR and $${VAR} in the configuration as they are.")
  boolean noExpandEnv;

  /** The file; a wrong command line if there is none. */
  Path file() throws CommandException {
    return find()
        .orElseThrow(
            () ->
                CommandException.usage(
                    "no configuration: there is no litefs.yml here, in the home directory or in /etc; name one with -config",
                    null));
  }

  private Optional<Path> find() {
    return config == null ? ConfigLoader.search(System.getenv()) : Optional.of(config);
  }

  LitefsConfig load() throws CommandException {
    return load(file());
  }

  /** What is configured, or what holds without a file. */
  LitefsConfig loadOrDefaults() throws CommandException {
    Optional<Path> file = find();
    return file.isPresent() ? load(file.get()) : LitefsConfig.defaults();
  }

  private LitefsConfig load(Path file) throws CommandException {
    try {
      return ConfigLoader.load(file, !noExpandEnv, System.getenv());
    } catch (ConfigException e) {
      throw CommandException.usage(e.getMessage(), e);
    }
  }
}

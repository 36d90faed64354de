package io.litefs.daemon;

import io.litefs.config.ConfigException;
import io.litefs.config.ConfigLoader;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Says on which data directory a command works. */
final class DataDirectoryOptions {

  @Option(
      names = {"-config", "--config"},
      paramLabel = "FILE",
      description =
          "The configuration that names the data directory (default: the first litefs.yml in the working directory, the home directory and /etc).")
  Path config;

  @Option(
      names = {"-data-dir", "--data-dir"},
      paramLabel = "DIR",
      description = "The data directory, without a configuration.")
  Path dataDir;

  /** An existing data directory. */
  Path dir() throws CommandException {
    Path dir = dataDir != null ? dataDir : load().data().dir();
    if (!Files.isDirectory(dir)) {
      throw CommandException.usage(
          "there is no data directory " + dir + "; name it with -data-dir or -config", null);
    }
    return dir;
  }

  /** Where the API of the daemon that uses the directory should be. */
  String url() throws CommandException {
    if (config == null && dataDir != null) {
      return ApiClient.DEFAULT_URL;
    }
    var addr = load().http().addr();
    String host =
        addr.host().isEmpty() || addr.host().equals("0.0.0.0") ? "localhost" : addr.host();
    return "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + addr.port();
  }

  private LitefsConfig load() throws CommandException {
    Optional<Path> file =
        config == null ? ConfigLoader.search(System.getenv()) : Optional.of(config);
    if (file.isEmpty()) {
      throw CommandException.usage(
          "no configuration: there is no litefs.yml here, in the home directory or in /etc; name one with -config, or the data "
              + "directory with -data-dir",
          null);
    }
    try {
      return ConfigLoader.load(file.get(), true, System.getenv());
    } catch (ConfigException e) {
      throw CommandException.usage(e.getMessage(), e);
    }
  }
}

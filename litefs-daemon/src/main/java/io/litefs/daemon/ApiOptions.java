package io.litefs.daemon;

import io.litefs.config.ConfigException;
import io.litefs.config.ConfigLoader;
import io.litefs.config.HostPort;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.ApiClient;
import io.litefs.daemon.client.CommandException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Says which running node a command asks. */
final class ApiOptions {

  @Option(
      names = {"-url", "--url"},
      paramLabel = "URL",
      description =
          "API of the node (default: http.addr of the configuration on this machine; without a configuration "
              + ApiClient.DEFAULT_URL
              + ").")
  String url;

  @Option(
      names = {"-config", "--config"},
      paramLabel = "FILE",
      description =
          "The configuration that says where the API is (default: the first litefs.yml in the working directory, the home directory and /etc).")
  Path config;

  ApiClient client() throws CommandException {
    return ApiClient.at(url != null ? url : configuredUrl());
  }

  private String configuredUrl() throws CommandException {
    Optional<Path> file =
        config == null ? ConfigLoader.search(System.getenv()) : Optional.of(config);
    if (file.isEmpty()) {
      return ApiClient.DEFAULT_URL;
    }
    try {
      return url(ConfigLoader.load(file.get(), true, System.getenv()));
    } catch (ConfigException e) {
      throw CommandException.usage(e.getMessage(), e);
    }
  }

  /** Where the API of a daemon with this configuration is reached from the same machine. */
  static String url(LitefsConfig config) {
    HostPort addr = config.http().addr();
    boolean anywhere =
        addr.host().isEmpty() || addr.host().equals("0.0.0.0") || addr.host().equals("::");
    return "http://" + new HostPort(anywhere ? "localhost" : addr.host(), addr.port());
  }
}

package io.litefs.it;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The litefs.yml of one node. Values are YAML scalars or flow sequences as they stand in the file.
 */
public final class NodeConfig {

  private final Map<String, Map<String, String>> sections = new LinkedHashMap<>();
  private final Map<String, String> topLevel = new LinkedHashMap<>();
  final List<String> command = new ArrayList<>();
  final Map<String, String> environment = new LinkedHashMap<>();
  String host = "127.0.0.1";
  List<String> around = List.of();
  List<String> launcher = Node.launcher();

  /** Where the node's API listens, and the command that starts it there, as {@code nsenter}. */
  public NodeConfig at(String address, List<String> command) {
    host = address;
    around = List.copyOf(command);
    return this;
  }

  /** Another {@code litefs} than the one under test. */
  public NodeConfig launcher(Path litefs) {
    launcher = List.of(litefs.toString());
    return this;
  }

  /** A static lease: this node is the primary. */
  public static NodeConfig primary() {
    return new NodeConfig()
        .set("lease", "type", "static")
        .set("lease", "candidate", "true")
        .set("lease", "hostname", "the-primary");
  }

  /** A static lease: this node can never be primary and follows the one at {@code port}. */
  public static NodeConfig replicaOf(int port) {
    return new NodeConfig()
        .set("lease", "type", "static")
        .set("lease", "candidate", "false")
        .set("lease", "hostname", "the-primary")
        .set("lease", "advertise-url", "http://127.0.0.1:" + port)
        .set("lease", "reconnect-delay", "50ms");
  }

  public NodeConfig set(String section, String key, String value) {
    sections.computeIfAbsent(section, s -> new LinkedHashMap<>()).put(key, value);
    return this;
  }

  public NodeConfig set(String key, String value) {
    topLevel.put(key, value);
    return this;
  }

  /** What follows {@code --} on the command line. */
  public NodeConfig exec(String... words) {
    command.addAll(List.of(words));
    return this;
  }

  public NodeConfig env(String name, String value) {
    environment.put(name, value);
    return this;
  }

  String get(String section, String key) {
    return sections.getOrDefault(section, Map.of()).get(key);
  }

  String yaml(Path mount, Path data, int port) {
    NodeConfig all = new NodeConfig();
    all.set("fuse", "dir", '"' + mount.toString() + '"');
    all.set("data", "dir", '"' + data.toString() + '"');
    all.set("http", "addr", '"' + host + ":" + port + '"');
    if (get("lease", "advertise-url") == null) {
      all.set("lease", "advertise-url", "http://" + host + ":" + port);
    }
    sections.forEach((section, keys) -> keys.forEach((key, value) -> all.set(section, key, value)));
    StringBuilder yaml = new StringBuilder();
    topLevel.forEach((key, value) -> yaml.append(key).append(": ").append(value).append('\n'));
    all.sections.forEach(
        (section, keys) -> {
          yaml.append(section).append(":\n");
          keys.forEach(
              (key, value) ->
                  yaml.append("  ").append(key).append(": ").append(value).append('\n'));
        });
    return yaml.toString();
  }
}

package io.litefs.config;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;
import org.yaml.snakeyaml.nodes.Tag;

/**
 * One mapping of the file, read key by key. A value that is missing, null or an empty string gives
 * the default; a bad one is noted and gives the default too, so that reading goes on and finds the
 * other problems. {@link #finish} notes the keys that nobody asked for.
 */
final class Section {
  private final Problems problems;
  private final String path;
  private final Node node;
  private final Map<String, Node> values = new LinkedHashMap<>();
  private final Map<String, Node> keys = new LinkedHashMap<>();
  private final Set<String> known = new LinkedHashSet<>();

  /**
   * A section.
   *
   * @param path its key and a dot, empty for the whole file
   * @param node its value, or null if the file has no such section
   */
  Section(Problems problems, String path, Node node) {
    this.problems = problems;
    this.path = path;
    this.node = node;
    if (node instanceof MappingNode mapping) {
      mapping.getValue().forEach(this::put);
    } else if (!isNull(node)) {
      String key = path.isEmpty() ? "" : path.substring(0, path.length() - 1);
      problems.add(node, key, "is " + kind(node) + "; a section with keys is allowed");
    }
  }

  private void put(NodeTuple tuple) {
    if (!(tuple.getKeyNode() instanceof ScalarNode scalar)) {
      problems.add(tuple.getKeyNode(), path + "?", "a key is " + kind(tuple.getKeyNode()));
      return;
    }
    String key = scalar.getValue();
    if (keys.putIfAbsent(key, scalar) == null) {
      values.put(key, tuple.getValueNode());
    } else {
      problems.add(scalar, path + key, "is here twice; keep one of them");
    }
  }

  /** Whether the file has this section at all. */
  boolean isPresent() {
    return node != null;
  }

  /** Whether the file has the key, with whatever value. */
  boolean has(String key) {
    return values.containsKey(key);
  }

  Section section(String key) {
    known.add(key);
    return new Section(problems, path + key + ".", values.get(key));
  }

  boolean bool(String key, boolean def) {
    Node value = value(key);
    if (value == null) {
      return def;
    }
    if (value instanceof ScalarNode scalar && scalar.getTag().equals(Tag.BOOL)) {
      return Set.of("true", "yes", "on").contains(scalar.getValue().toLowerCase(Locale.ROOT));
    }
    boolean quoted = value instanceof ScalarNode s && s.getValue().matches("true|false");
    problem(
        key, "is " + kind(value) + "; allowed: true, false" + (quoted ? ", without quotes" : ""));
    return def;
  }

  Optional<String> string(String key) {
    return scalar(key, "a string is", Function.identity());
  }

  int count(String key, int def) {
    return scalar(
            key,
            "a whole number is",
            text -> {
              if (!text.matches("[0-9]{1,9}")) {
                throw new IllegalArgumentException(
                    "'" + text + "' is not allowed; write a whole number, 0 or more");
              }
              return Integer.parseInt(text);
            })
        .orElse(def);
  }

  Optional<Path> path(String key) {
    return scalar(key, "a path is", Path::of);
  }

  /** A duration of zero or more. */
  Duration duration(String key, Duration def) {
    return scalar(
            key,
            "a duration is",
            text -> {
              Duration duration = Durations.parse(text);
              if (duration.isNegative()) {
                throw new IllegalArgumentException(
                    "'" + text + "' is negative; 0 or more is allowed");
              }
              return duration;
            })
        .orElse(def);
  }

  /** A duration of more than zero. */
  Duration positiveDuration(String key, Duration def) {
    Duration duration = duration(key, def);
    if (duration.isZero()) {
      problem(key, "is 0; more than 0 is allowed");
      return def;
    }
    return duration;
  }

  /** A size in bytes; {@code plainUnit}: the bytes that a number without a unit counts in. */
  long bytes(String key, long plainUnit, long def) {
    return scalar(key, "a size is", text -> ByteSizes.parse(text, plainUnit)).orElse(def);
  }

  Optional<HostPort> hostPort(String key) {
    return scalar(
        key,
        "an address is",
        text -> {
          try {
            return HostPort.parse(text);
          } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("'" + text + "': " + e.getMessage(), e);
          }
        });
  }

  /** An http or https URL with a host; a slash at its end is dropped. */
  Optional<URI> url(String key) {
    return scalar(
        key,
        "a URL is",
        text -> {
          URI url;
          try {
            url = new URI(text.endsWith("/") ? text.substring(0, text.length() - 1) : text);
          } catch (URISyntaxException e) {
            throw new IllegalArgumentException("'" + text + "' is no URL: " + e.getReason(), e);
          }
          boolean http = "http".equalsIgnoreCase(url.getScheme());
          if ((!http && !"https".equalsIgnoreCase(url.getScheme())) || url.getHost() == null) {
            throw new IllegalArgumentException(
                "'" + text + "' is no URL of a server; write for example http://host:20202");
          }
          return url;
        });
  }

  /** One of the constants of {@code type}, written in lower case. */
  <E extends Enum<E>> Optional<E> oneOf(String key, Class<E> type) {
    return scalar(
        key,
        "a string is",
        text -> {
          List<String> allowed =
              Arrays.stream(type.getEnumConstants())
                  .map(constant -> constant.name().toLowerCase(Locale.ROOT))
                  .toList();
          if (!allowed.contains(text)) {
            throw new IllegalArgumentException(
                "'" + text + "' is not known; allowed: " + String.join(", ", allowed));
          }
          return type.getEnumConstants()[allowed.indexOf(text)];
        });
  }

  /** A list of strings; empty if it is missing. */
  List<String> strings(String key) {
    Node value = value(key);
    if (value == null) {
      return List.of();
    }
    if (!(value instanceof SequenceNode sequence)) {
      problem(key, "is " + kind(value) + "; a list is allowed, as in [\"a\", \"b\"]");
      return List.of();
    }
    List<String> strings = new ArrayList<>();
    for (Node item : sequence.getValue()) {
      if (item instanceof ScalarNode scalar && !isNull(scalar) && !scalar.getValue().isEmpty()) {
        strings.add(scalar.getValue());
      } else {
        problems.add(item, path + key, "has " + kind(item) + " in it; strings are allowed");
      }
    }
    return strings;
  }

  /** A string or a list of them; empty if it is missing. */
  List<String> stringOrStrings(String key) {
    return value(key) instanceof SequenceNode
        ? strings(key)
        : string(key).map(List::of).orElse(List.of());
  }

  /**
   * The items of a list of mappings or strings, or the one value that is no list; empty if it is
   * missing.
   */
  List<Node> items(String key) {
    Node value = value(key);
    if (value == null) {
      return List.of();
    }
    return value instanceof SequenceNode sequence ? sequence.getValue() : List.of(value);
  }

  /** Notes a problem with the value of {@code key}, or with this section if it has no such key. */
  void problem(String key, String text) {
    Node where = values.get(key);
    problems.add(where != null ? where : node, path + key, text);
  }

  /** Notes the keys that nobody has asked for. To be called when everything has been read. */
  void finish() {
    for (Map.Entry<String, Node> entry : keys.entrySet()) {
      if (!known.contains(entry.getKey())) {
        String hint =
            Similar.to(entry.getKey(), known)
                .map(key -> "did you mean " + key + "?")
                .orElse("allowed here: " + String.join(", ", known));
        problems.add(entry.getValue(), path + entry.getKey(), "unknown key; " + hint);
      }
    }
  }

  /** The full names of the keys that have been asked for. */
  List<String> knownKeys() {
    return known.stream().map(key -> path + key).toList();
  }

  static String kind(Node node) {
    if (node instanceof MappingNode) {
      return "a section with keys";
    }
    if (node instanceof SequenceNode) {
      return "a list";
    }
    ScalarNode scalar = (ScalarNode) node;
    if (isNull(node) || scalar.getValue().isEmpty()) {
      return "empty";
    }
    return "'" + scalar.getValue().replace("\n", "\\n") + "'";
  }

  private <T> Optional<T> scalar(String key, String expected, Function<String, T> parse) {
    Node value = value(key);
    if (value == null) {
      return Optional.empty();
    }
    if (!(value instanceof ScalarNode scalar)) {
      problem(key, "is " + kind(value) + "; " + expected + " allowed");
      return Optional.empty();
    }
    try {
      return Optional.of(parse.apply(scalar.getValue()));
    } catch (IllegalArgumentException e) {
      problem(key, e.getMessage());
      return Optional.empty();
    }
  }

  /** The value, or null if it is missing, null or an empty string. */
  private Node value(String key) {
    known.add(key);
    Node value = values.get(key);
    boolean empty = value instanceof ScalarNode scalar && scalar.getValue().isEmpty();
    return isNull(value) || empty ? null : value;
  }

  private static boolean isNull(Node node) {
    return node == null || node.getTag().equals(Tag.NULL);
  }
}

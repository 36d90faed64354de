package io.litefs.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The documents and the code know the same keys. */
class ConfigurationDocumentTest {
  private static final Path REFERENCE = Path.of("../docs/configuration.md");
  private static final Pattern ROW = Pattern.compile("(?m)^\\| `([a-z.-]+)` \\|");

  /** A row whose default is a value, or nothing. */
  private static final Pattern DEFAULT =
      Pattern.compile("(?m)^\\| `([a-z.-]+)` \\| (?:`([^`]+)` )?\\|");

  private static final Pattern YAML = Pattern.compile("(?ms)^ *```yaml\\n(.*?)^ *```");

  /** Blocks of other programs' files, such as Prometheus's, begin otherwise. */
  private static final Pattern OURS =
      Pattern.compile(
          "(?s)(#[^\\n]*\\n)*(exec|exit-on-error|skip-sync|fuse|data|http|proxy|lease|backup|log|tracing):.*");

  @Test
  void namesExactlyTheKeysOfTheCode() throws Exception {
    assertThat(all(ROW, REFERENCE))
        .doesNotHaveDuplicates()
        .containsExactlyInAnyOrderElementsOf(keys());
  }

  /** A value that the file names, and that changes nothing, is the default. */
  @Test
  void tellsTheDefaultsOfTheCode() throws Exception {
    LitefsConfig defaults = parse("lease: {type: static}");
    LitefsConfig oneCommand = parse("exec: [{cmd: a}]\nlease: {type: static}");
    Matcher row = DEFAULT.matcher(Files.readString(REFERENCE));
    int values = 0;
    while (row.find()) {
      String key = row.group(1);
      String value = row.group(2);
      if (value == null) {
        assertThat(valueOf(defaults, key)).as(key).isIn(Optional.empty(), "", List.of());
      } else if (key.equals("exec.if-candidate")) {
        assertThat(parse("exec: [{cmd: a, if-candidate: " + value + "}]\nlease: {type: static}"))
            .as(key)
            .isEqualTo(oneCommand);
      } else {
        values++;
        assertThat(parse(yaml(key, value))).as(key).isEqualTo(defaults);
      }
    }
    assertThat(values).isGreaterThan(30);
  }

  /** A file with this key and what it cannot be without. */
  private static String yaml(String key, String value) {
    List<String> path = List.of(key.split("[.]"));
    String text = path.get(path.size() - 1) + ": \"" + value + '"';
    if (value.matches("true|false")) {
      text = text.replace("\"", "");
    }
    for (int i = path.size() - 2; i >= 0; i--) {
      String more = path.get(i).equals("lease") ? "type: static, " : "";
      text = path.get(i) + ": {" + more + text + "}";
    }
    return path.get(0).equals("lease") ? text : text + "\nlease: {type: static}";
  }

  /** What the records hold under a key's name. */
  private static Object valueOf(LitefsConfig config, String key) throws Exception {
    if (key.startsWith("exec") || key.equals("backup.type")) {
      return key.startsWith("exec") ? config.exec() : config.backup().path();
    }
    Object value = config;
    for (String name :
        key.equals("proxy.db") ? List.of("proxy", "databases") : List.of(key.split("[.]"))) {
      StringBuilder component = new StringBuilder();
      for (String word : name.split("-")) {
        component.append(
            component.isEmpty()
                ? word
                : word.substring(0, 1).toUpperCase(Locale.ROOT) + word.substring(1));
      }
      value = value.getClass().getMethod(component.toString()).invoke(value);
    }
    return value;
  }

  private static LitefsConfig parse(String yaml) throws ConfigException {
    return ConfigLoader.parse(yaml, "litefs.yml", true, Map.of());
  }

  static List<Path> documents() throws IOException {
    List<Path> documents = new ArrayList<>(List.of(Path.of("../README.md")));
    try (Stream<Path> files = Files.list(Path.of("../docs"))) {
      files.filter(file -> file.toString().endsWith(".md")).sorted().forEach(documents::add);
    }
    documents.removeIf(file -> examples(file).isEmpty());
    assertThat(documents).hasSizeGreaterThan(4);
    return documents;
  }

  @ParameterizedTest
  @MethodSource("documents")
  void showsFilesThatAreValid(Path document) throws Exception {
    for (String example : examples(document)) {
      ConfigLoader.parse(example, document.toString(), true, Map.of());
    }
  }

  private static List<String> examples(Path document) {
    try {
      return all(YAML, document).stream().filter(text -> OURS.matcher(text).matches()).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The keys that hold values: those of sections are left out, but {@code exec} is both. */
  private static Set<String> keys() throws ConfigException {
    Problems problems = new Problems("litefs.yml");
    ConfigReader reader = new ConfigReader(problems, () -> "host");
    reader.read(ConfigLoader.compose("exec: [{cmd: a}]", problems));
    problems.throwIfAny();
    Set<String> all = new HashSet<>(reader.knownKeys());
    Set<String> values = new HashSet<>(all);
    values.removeIf(
        key -> !key.equals("exec") && all.stream().anyMatch(other -> other.startsWith(key + ".")));
    return values;
  }

  private static List<String> all(Pattern pattern, Path document) throws IOException {
    List<String> found = new ArrayList<>();
    Matcher matcher = pattern.matcher(Files.readString(document));
    while (matcher.find()) {
      found.add(matcher.group(1));
    }
    return found;
  }
}

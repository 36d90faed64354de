package io.litefs.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The documents and the code know the same keys. */
class ConfigurationDocumentTest {
  private static final Path REFERENCE = Path.of("../docs/configuration.md");
  private static final Path README = Path.of("../README.md");
  private static final Pattern ROW = Pattern.compile("(?m)^\\| `([a-z.-]+)` \\|");
  private static final Pattern YAML = Pattern.compile("(?ms)^```yaml\\n(.*?)^```");

  @Test
  void namesExactlyTheKeysOfTheCode() throws Exception {
    assertThat(all(ROW, REFERENCE))
        .doesNotHaveDuplicates()
        .containsExactlyInAnyOrderElementsOf(keys());
  }

  static List<Path> documents() {
    return List.of(REFERENCE, README);
  }

  @ParameterizedTest
  @MethodSource("documents")
  void showsFilesThatAreValid(Path document) throws Exception {
    List<String> examples = all(YAML, document);
    assertThat(examples).isNotEmpty();
    for (String example : examples) {
      ConfigLoader.parse(example, document.toString(), true, Map.of());
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

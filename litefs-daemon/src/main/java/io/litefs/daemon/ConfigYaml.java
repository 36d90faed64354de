package io.litefs.daemon;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.litefs.config.BackupConfig;
import io.litefs.config.ExecCommand;
import io.litefs.config.LitefsConfig;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Writes a configuration as a {@code litefs.yml} that means the same. Keys come from the names of
 * the records' components, so that no new one can be forgotten. Dollar signs are doubled: the file
 * is expanded again when it is read.
 */
final class ConfigYaml {

  /** Keys that are named otherwise than their components. */
  private static final Map<String, String> NAMES = Map.of("databases", "db");

  private static final Set<String> BYTES =
      Set.of("retentionSize", "divergedSize", "replicaWalLimit", "maxSize");

  private final StringBuilder yaml = new StringBuilder();

  private ConfigYaml() {}

  static String of(LitefsConfig config) {
    ConfigYaml writer = new ConfigYaml();
    writer.section("", config);
    return writer.yaml.toString();
  }

  private void section(String indent, Record section) {
    for (RecordComponent component : section.getClass().getRecordComponents()) {
      Object value = value(section, component);
      String name = key(section, component.getName());
      if (value instanceof BackupConfig backup) {
        if (backup.path().isPresent()) {
          yaml.append("backup:\n  type: file\n  path: ");
          yaml.append(scalar("path", backup.path().get())).append('\n');
        }
      } else if (value instanceof Record nested && !(isScalar(value))) {
        yaml.append(indent).append(name).append(":\n");
        section(indent + "  ", nested);
      } else if (value instanceof Collection<?> list) {
        list(indent, name, list);
      } else if (!isEmpty(value)) {
        yaml.append(indent)
            .append(name)
            .append(": ")
            .append(scalar(component.getName(), value))
            .append('\n');
      }
    }
  }

  private void list(String indent, String name, Collection<?> list) {
    if (list.isEmpty()) {
      return;
    }
    yaml.append(indent).append(name).append(":\n");
    for (Object item : list) {
      yaml.append(indent).append("  - ");
      if (item instanceof ExecCommand command) {
        yaml.append("cmd: ").append(scalar("cmd", command.cmd())).append('\n');
        yaml.append(indent).append("    if-candidate: ").append(command.ifCandidate());
      } else {
        yaml.append(scalar("", item));
      }
      yaml.append('\n');
    }
  }

  private static String key(Record section, String component) {
    if (section instanceof io.litefs.config.ProxyConfig && NAMES.containsKey(component)) {
      return NAMES.get(component);
    }
    return component.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
  }

  private static Object value(Record section, RecordComponent component) {
    try {
      Object value = component.getAccessor().invoke(section);
      return value instanceof Optional<?> optional ? optional.orElse(null) : value;
    } catch (IllegalAccessException | InvocationTargetException e) {
      throw new IllegalStateException("a record that does not tell its " + component.getName(), e);
    }
  }

  private static boolean isEmpty(Object value) {
    return value == null || value.toString().isEmpty();
  }

  /** Host and port are a record, too. */
  private static boolean isScalar(Object value) {
    return value instanceof io.litefs.config.HostPort;
  }

  private static String scalar(String component, Object value) {
    if (value instanceof Boolean) {
      return value.toString();
    }
    if (value instanceof Number) {
      return value + (BYTES.contains(component) ? "B" : "");
    }
    if (value instanceof Duration duration) {
      return duration(duration);
    }
    if (value instanceof Enum<?>) {
      return value.toString().toLowerCase(Locale.ROOT).replace('_', '-');
    }
    return '"'
        + new String(JsonStringEncoder.getInstance().quoteAsString(value.toString()))
            .replace("$", "$$")
        + '"';
  }

  /** As Go writes it: {@code 1h30m}, {@code 500ms}. */
  static String duration(Duration duration) {
    if (duration.isZero()) {
      return "0s";
    }
    StringBuilder text = new StringBuilder();
    long[] amounts = {
      duration.toHours(),
      duration.toMinutesPart(),
      duration.toSecondsPart(),
      duration.toMillisPart(),
      duration.toNanosPart() / 1000 % 1000,
      duration.toNanosPart() % 1000
    };
    List<String> units = List.of("h", "m", "s", "ms", "us", "ns");
    for (int i = 0; i < amounts.length; i++) {
      if (amounts[i] != 0) {
        text.append(amounts[i]).append(units.get(i));
      }
    }
    return text.toString();
  }
}

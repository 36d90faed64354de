package io.litefs.it;

import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One reading of a node's {@code GET /metrics} in the Prometheus text format. */
public record Metrics(Map<String, Double> values) {

  private static final Pattern SAMPLE =
      Pattern.compile("([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{(.*)})? (\\S+)(?: \\d+)?");
  private static final Pattern LABEL = Pattern.compile("(\\w+)=\"((?:[^\"\\\\]|\\\\.)*)\"");

  static Metrics parse(String text) {
    Map<String, Double> values = new TreeMap<>();
    for (String line : text.split("\n")) {
      if (line.isEmpty() || line.startsWith("#")) {
        continue;
      }
      Matcher sample = SAMPLE.matcher(line);
      if (!sample.matches()) {
        throw new AssertionError("not a sample of the Prometheus text format: " + line);
      }
      values.put(
          key(sample.group(1), sample.group(2) == null ? "" : sample.group(2)),
          Double.parseDouble(sample.group(3)));
    }
    return new Metrics(values);
  }

  private static String key(String name, String labels) {
    TreeMap<String, String> sorted = new TreeMap<>();
    Matcher label = LABEL.matcher(labels);
    while (label.find()) {
      sorted.put(label.group(1), label.group(2));
    }
    return name + sorted;
  }

  /** The value of a metric with exactly these labels ({@code name, value, ...}). */
  public double get(String name, String... labels) {
    TreeMap<String, String> sorted = new TreeMap<>();
    for (int i = 0; i < labels.length; i += 2) {
      sorted.put(labels[i], labels[i + 1]);
    }
    Double value = values.get(name + sorted);
    if (value == null) {
      throw new AssertionError("no metric " + name + sorted + " in " + values.keySet());
    }
    return value;
  }

  /** Values of a metric by one of its labels, summed over the others. */
  public Map<String, Long> by(String name, String label) {
    Map<String, Long> result = new TreeMap<>();
    values.forEach(
        (key, value) -> {
          if (key.startsWith(name + '{')) {
            Matcher matcher = Pattern.compile("[{ ]" + label + "=([^,}]*)").matcher(key);
            if (matcher.find()) {
              result.merge(matcher.group(1), value.longValue(), Long::sum);
            }
          }
        });
    return result;
  }
}

package io.litefs.daemon.api;

import java.nio.charset.StandardCharsets;

/** Builds the Prometheus text format, version 0.0.4. */
public final class PrometheusText {

  static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

  private final StringBuilder text = new StringBuilder(4096);
  private String metric;

  /** Begins a metric that only grows; its samples follow. */
  public PrometheusText counter(String name, String help) {
    return begin(name, "counter", help);
  }

  /** Begins a metric that goes up and down; its samples follow. */
  public PrometheusText gauge(String name, String help) {
    return begin(name, "gauge", help);
  }

  private PrometheusText begin(String name, String type, String help) {
    metric = name;
    text.append("# HELP ").append(name).append(' ').append(help).append('\n');
    text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    return this;
  }

  /**
   * @param labels names and values in turn
   */
  public PrometheusText sample(double value, String... labels) {
    text.append(metric);
    for (int i = 0; i < labels.length; i += 2) {
      text.append(i == 0 ? '{' : ',').append(labels[i]).append("=\"");
      escape(labels[i + 1]);
      text.append('"');
    }
    if (labels.length > 0) {
      text.append('}');
    }
    text.append(' ');
    if (value == Math.rint(value) && Math.abs(value) < 1e15) {
      text.append((long) value);
    } else {
      text.append(value);
    }
    text.append('\n');
    return this;
  }

  private void escape(String value) {
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '\\' -> text.append("\\\\");
        case '"' -> text.append("\\\"");
        case '\n' -> text.append("\\n");
        default -> text.append(c);
      }
    }
  }

  /** Adds whole metrics that somebody else has put into this format. */
  public PrometheusText append(String metrics) {
    text.append(metrics);
    return this;
  }

  byte[] bytes() {
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public String toString() {
    return text.toString();
  }
}

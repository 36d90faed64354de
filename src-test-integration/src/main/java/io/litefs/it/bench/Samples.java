package io.litefs.it.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** Repeated measurements of one thing. */
final class Samples {

  private final List<Double> values = new ArrayList<>();

  void add(double value) {
    values.add(value);
  }

  int count() {
    return values.size();
  }

  double median() {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }

  double min() {
    return Collections.min(values);
  }

  double max() {
    return Collections.max(values);
  }

  /** {@code median (min - max)}. */
  String range(int digits) {
    String f = "%." + digits + "f";
    return String.format(Locale.ROOT, f + " (" + f + " - " + f + ")", median(), min(), max());
  }

  String rounded() {
    return String.format(Locale.ROOT, "%,.0f", median());
  }
}

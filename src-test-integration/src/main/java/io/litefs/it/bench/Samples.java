package io.litefs.it.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** Repeated measurements of one thing, in the order of the rounds. */
final class Samples {

  private final List<Double> values = new ArrayList<>();

  void add(double value) {
    values.add(value);
  }

  /** This divided by {@code other}, round by round. */
  Samples per(Samples other) {
    Samples ratios = new Samples();
    for (int i = 0; i < values.size(); i++) {
      ratios.add(values.get(i) / other.values.get(i));
    }
    return ratios;
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

  /** From the least to the greatest, as a part of the median. */
  double spread() {
    return (max() - min()) / median();
  }

  /** {@code median (min - max)}. */
  String range(int digits) {
    String f = "%." + digits + "f";
    return String.format(Locale.ROOT, f + " (" + f + " - " + f + ")", median(), min(), max());
  }
}

package io.litefs.it.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;

/** The result as Markdown; each row is printed when it is known. */
final class Table {

  private static final String NOTHING = "";

  private final boolean hasPeer;
  private final List<String> rows = new ArrayList<>();
  private final Samples noise = new Samples();

  Table(boolean hasPeer) {
    this.hasPeer = hasPeer;
  }

  /**
   * What was measured of one thing.
   *
   * @param format of a value, for {@link String#format}
   * @param bare in the bare directory; null if the thing does not exist there
   * @param systems litefs, and the peer if there is one
   * @param target as text; empty if none is set
   * @param isReached judges litefs
   */
  record Row(
      String what,
      String format,
      Samples bare,
      List<Samples> systems,
      String target,
      Predicate<Row> isReached) {

    Samples litefs() {
      return systems.get(0);
    }

    Samples ratio() {
      return litefs().per(bare);
    }
  }

  void add(Row row) {
    List<String> cells = new ArrayList<>();
    cells.add(row.what);
    cells.add(row.bare == null ? NOTHING : value(row, row.bare));
    for (Samples system : row.systems) {
      // Where there is nothing to divide by, the values themselves show how they spread.
      cells.add(row.bare == null ? spread(row, system) : value(row, system));
      cells.add(row.bare == null ? NOTHING : system.per(row.bare).range(2));
    }
    for (int missing = row.systems.size(); missing < (hasPeer ? 2 : 1); missing++) {
      cells.add(NOTHING);
      cells.add(NOTHING);
    }
    if (hasPeer) {
      cells.add(row.systems.size() < 2 ? NOTHING : row.litefs().per(row.systems.get(1)).range(2));
    }
    cells.add(row.target);
    cells.add(row.target.isEmpty() ? NOTHING : row.isReached.test(row) ? "yes" : "**no**");
    String line = "| " + String.join(" | ", cells) + " |";
    rows.add(line);
    System.err.println(line);
    if (row.bare != null && row.bare.count() > 1) {
      noise.add(row.bare.spread());
    }
  }

  private static String value(Row row, Samples samples) {
    return String.format(Locale.ROOT, row.format, samples.median());
  }

  private static String spread(Row row, Samples samples) {
    if (samples.min() == samples.max()) {
      return value(row, samples);
    }
    String number = row.format.replaceFirst("f.*", "f");
    String unit = row.format.substring(number.length());
    return String.format(
        Locale.ROOT,
        number + " (" + number + " - " + number + ")" + unit,
        samples.median(),
        samples.min(),
        samples.max());
  }

  void print() {
    String header = "| what | bare directory | litefs | ratio: median (min - max) |";
    String rule = "|---|---|---|---|";
    if (hasPeer) {
      header += " peer | ratio | litefs / peer |";
      rule += "---|---|---|";
    }
    System.out.println(header + " target | reached |");
    System.out.println(rule + "---|---|");
    rows.forEach(System.out::println);
    if (noise.count() > 0) {
      System.out.printf(
          Locale.ROOT,
          "%nNoise of the machine: between the rounds of a row the bare directory itself spread by %.0f %%"
              + " of its median (the median of the rows; %.0f %% in the worst). A ratio that misses its target"
              + " by less than that says nothing.%n",
          100 * noise.median(),
          100 * noise.max());
    }
  }
}

package io.litefs.it.bench;

import java.util.ArrayList;
import java.util.List;

/** The result as Markdown; each row is printed when it is known. */
final class Table {

  private final List<String> rows = new ArrayList<>();

  void row(String what, String bare, String mount, String ratio, String target, boolean reached) {
    String row =
        "| "
            + String.join(" | ", what, bare, mount, ratio, target, reached ? "yes" : "**no**")
            + " |";
    rows.add(row);
    System.err.println(row);
  }

  void print() {
    System.out.println(
        "| what | bare directory | litefs | ratio: median (min - max) | target | reached |");
    System.out.println("|---|---|---|---|---|---|");
    rows.forEach(System.out::println);
  }
}

package io.litefs.it.bench;

import io.litefs.it.Node;
import io.litefs.it.NodeConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * From the start of the process to a mount that answers, and what the daemon weighs: with ten small
 * databases, then with one large one besides.
 */
final class Starts {

  private static final Path TMPFS = Path.of(System.getProperty("bench.tmpfs", "/dev/shm"));
  private static final Path DISK =
      Path.of(System.getProperty("bench.disk", System.getProperty("java.io.tmpdir")));

  private final Arguments arguments;
  private final SqlBench sql;
  private final Table table;

  Starts(Arguments arguments, SqlBench sql, Table table) {
    this.arguments = arguments;
    this.sql = sql;
    this.table = table;
  }

  void run() {
    List<Node> nodes = new ArrayList<>();
    try {
      start(nodes, TMPFS);
      for (Node node : nodes) {
        for (int i = 0; i < 10; i++) {
          sql.fill(node.db("db" + i), 1000, 1000, "journal_mode=WAL");
          sql.insert(node.db("db" + i), 500, "journal_mode=WAL");
        }
      }
      resident(nodes, "resident, ten databases", 150);
      measure(nodes, "", 500, 3000);
    } finally {
      nodes.forEach(Node::close);
    }
    nodes.clear();
    try {
      String large = " with a %,d MB database".formatted(arguments.megabytes());
      start(nodes, DISK);
      for (Node node : nodes) {
        sql.fill(
            node.db("big"),
            250 * arguments.megabytes(),
            3500,
            "journal_mode=WAL",
            "synchronous=OFF");
      }
      // 10 MB for each GB.
      resident(nodes, "resident" + large, 150 + arguments.megabytes() / 100);
      measure(nodes, large, 1000, 3000);
    } finally {
      nodes.forEach(Node::close);
    }
  }

  private void start(List<Node> nodes, Path where) {
    System.setProperty("litefs.it.dir", where.toString());
    nodes.add(Node.started("start", NodeConfig.primary()));
    arguments
        .peer()
        .ifPresent(peer -> nodes.add(Node.started("start", NodeConfig.primary().launcher(peer))));
  }

  private void resident(List<Node> nodes, String what, int megabytes) {
    table.add(
        new Table.Row(
            what,
            "%.0f MB",
            null,
            each(nodes, 1, node -> node.residentBytes() / 1e6),
            "<= " + megabytes + " MB",
            row -> row.litefs().median() <= megabytes));
  }

  private void measure(List<Node> nodes, String with, int cleanMillis, int killedMillis) {
    row(nodes, "start" + with + " to mounted, clean", Node::stop, cleanMillis);
    row(nodes, "start" + with + " to mounted, after kill -9", Node::kill, killedMillis);
  }

  private void row(
      List<Node> nodes, String what, java.util.function.Consumer<Node> end, int millis) {
    table.add(
        new Table.Row(
            what,
            "%,.0f ms",
            null,
            each(
                nodes,
                arguments.rounds(),
                node -> {
                  end.accept(node);
                  long start = System.nanoTime();
                  node.start();
                  return (System.nanoTime() - start) / 1e6;
                }),
            "<= " + millis + " ms",
            row -> row.litefs().median() <= millis));
  }

  private static List<Samples> each(
      List<Node> nodes, int rounds, ToDoubleFunction<Node> measurement) {
    List<Samples> samples = new ArrayList<>();
    nodes.forEach(node -> samples.add(new Samples()));
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < nodes.size(); i++) {
        samples.get(i).add(measurement.applyAsDouble(nodes.get(i)));
      }
    }
    return samples;
  }
}

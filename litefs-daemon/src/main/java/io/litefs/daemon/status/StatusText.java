package io.litefs.daemon.status;

import io.litefs.daemon.status.NodeStatus.DatabaseStatus;
import io.litefs.daemon.status.NodeStatus.NamedLock;
import io.litefs.daemon.status.NodeStatus.Replica;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** The status as text, for terminals. Control characters in names are shown as '?'. */
final class StatusText {

  private static final int EVENTS = 10;

  private final StringBuilder text = new StringBuilder(2048);
  private final NodeStatus status;

  private StatusText(NodeStatus status) {
    this.status = status;
  }

  static String all(NodeStatus status) {
    StatusText text = new StatusText(status);
    text.node();
    text.databases();
    text.replicas();
    text.events();
    return text.text.toString();
  }

  static String databases(NodeStatus status) {
    StatusText text = new StatusText(status);
    text.databases();
    return text.text.toString().stripLeading();
  }

  private void node() {
    NodeStatus.Node node = status.node();
    line(
        node.hostname()
            + ": "
            + node.role()
            + " for "
            + Units.millis(Duration.between(node.roleSince(), status.time()).toMillis())
            + status
                .primary()
                .filter(primary -> !node.role().equals("primary"))
                .map(primary -> ", primary is " + primary.hostname() + " (" + primary.url() + ")")
                .orElse(""));
    line(
        "litefs "
            + node.version()
            + ", up "
            + Units.millis(status.uptime().toMillis())
            + ", node "
            + node.id()
            + (node.clusterId().isEmpty() ? "" : ", cluster " + node.clusterId()));
    line("mount " + node.mount() + ", data " + node.dataDir() + ", " + node.transport());
    line(
        leaseLine(status)
            + (node.candidate() ? ", candidate" : ", no candidate")
            + ", lag "
            + lag(status));
  }

  /** The lease in a few words. */
  static String leaseLine(NodeStatus status) {
    LeaseStatus lease = status.lease();
    return lease.type()
        + " lease"
        + lease
            .expires()
            .map(
                end ->
                    ", ends in "
                        + Units.millis(
                            Math.max(0, Duration.between(status.time(), end).toMillis())))
            .orElse("");
  }

  static String lag(NodeStatus status) {
    return status.lagMillis().isPresent()
        ? Units.millis(status.lagMillis().getAsLong())
        : "unknown: not in sync yet";
  }

  private void databases() {
    line("");
    List<String[]> rows = new ArrayList<>();
    rows.add(new String[] {"DATABASE", "SIZE", "PAGES", "JOURNAL", "TXID", "LAST", "LTX", "LOCKS"});
    for (DatabaseStatus database : status.databases()) {
      rows.add(
          new String[] {
            database.name(),
            Units.size(database.bytes()),
            database.pages() + " x " + database.pageSize(),
            database.walMode() ? "wal" : "rollback",
            database.pos().txid().toString(),
            last(database, status.time()),
            database.ltxFiles() + ", " + Units.size(database.ltxBytes()),
            String.join("; ", locksByHolder(database))
          });
    }
    table(rows);
    for (DatabaseStatus database : status.databases()) {
      remarks(database, status.time()).forEach(note -> line("  " + database.name() + ": " + note));
    }
    for (NodeStatus.Quarantined entry : status.quarantine()) {
      line(
          "  "
              + entry.name()
              + ": NOT SERVED: "
              + entry.reason()
              + "; its files are in "
              + entry.path());
    }
  }

  static String last(DatabaseStatus database, Instant now) {
    return database.lastTransactionMillis() == 0
        ? ""
        : Units.age(now, Instant.ofEpochMilli(database.lastTransactionMillis()));
  }

  /** What needs an operator's eye. */
  static List<String> remarks(DatabaseStatus database, Instant now) {
    List<String> remarks = new ArrayList<>();
    database
        .waiting()
        .ifPresent(
            wait ->
                remarks.add(
                    "transaction "
                        + wait.txid()
                        + " has waited "
                        + Units.millis(Duration.between(wait.since(), now).toMillis())
                        + " for "
                        + (wait.holder().isEmpty() ? "the database's locks" : wait.holder())));
    remarks.addAll(database.notes());
    return remarks;
  }

  /** One entry for each process: {@code sqlite3 (4711): WAL_WRITE, WAL_READ2}. */
  static List<String> locksByHolder(DatabaseStatus database) {
    Map<String, List<NamedLock>> byHolder =
        database.locks().stream()
            .collect(
                Collectors.groupingBy(NamedLock::who, LinkedHashMap::new, Collectors.toList()));
    List<String> lines = new ArrayList<>();
    byHolder.forEach(
        (who, locks) ->
            lines.add(
                who
                    + ": "
                    + locks.stream()
                        .map(lock -> (lock.waiting() ? "waits for " : "") + lock.name())
                        .distinct()
                        .collect(Collectors.joining(", "))));
    return lines;
  }

  private void replicas() {
    if (status.replicas().isEmpty()) {
      return;
    }
    line("");
    List<String[]> rows = new ArrayList<>();
    rows.add(new String[] {"REPLICA", "NODE", "ADDRESS", "CONNECTED", "SENT", "BEHIND"});
    for (Replica replica : status.replicas()) {
      rows.add(
          new String[] {
            replica.hostname(),
            replica.id(),
            replica.address(),
            Units.age(status.time(), replica.since()),
            Units.size(replica.bytesSent()),
            behind(replica)
          });
    }
    table(rows);
  }

  static String behind(Replica replica) {
    if (replica.transactionsBehind() == 0) {
      return replica.ready() ? "nothing" : "catching up";
    }
    return Units.count(replica.transactionsBehind(), "transaction")
        + ", "
        + Units.size(replica.bytesBehind())
        + ", "
        + Units.millis(replica.millisBehind());
  }

  private void events() {
    if (status.events().isEmpty()) {
      return;
    }
    line("");
    line("EVENTS");
    status.events().stream()
        .limit(EVENTS)
        .forEach(
            event ->
                line(
                    event.time().toString().substring(0, 19)
                        + "Z "
                        + event.level()
                        + " "
                        + event.message()));
  }

  private void table(List<String[]> rows) {
    int[] widths = new int[rows.get(0).length];
    for (String[] row : rows) {
      for (int i = 0; i < row.length; i++) {
        widths[i] = Math.max(widths[i], row[i].length());
      }
    }
    for (String[] row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < row.length; i++) {
        line.append(row[i]).append(" ".repeat(widths[i] - row[i].length() + 2));
      }
      line(line.toString().stripTrailing());
    }
  }

  private void line(String line) {
    line.chars().forEach(c -> text.append(c < ' ' || c == 127 ? '?' : (char) c));
    text.append('\n');
  }
}

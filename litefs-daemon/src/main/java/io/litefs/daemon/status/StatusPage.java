package io.litefs.daemon.status;

import io.litefs.daemon.status.NodeStatus.DatabaseStatus;
import io.litefs.daemon.status.NodeStatus.Replica;
import io.litefs.daemon.status.NodeStatus.ReplicaPosition;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Locale;

/**
 * The status as one HTML document that needs nothing else: no other file, no script to be true. The
 * script that is in it only replaces sections by newer ones; without it the page reloads itself.
 * Everything that comes from outside goes through {@link #text}.
 */
final class StatusPage {

  private static final String STYLE = resource("status.css");
  private static final String SCRIPT = resource("status.js");

  /**
   * Nothing may be loaded or run but what is in the document: names of databases come from
   * applications.
   */
  static final String CONTENT_SECURITY_POLICY =
      "default-src 'none'; connect-src 'self'; img-src data:; style-src '"
          + hash(STYLE)
          + "'; script-src '"
          + hash(SCRIPT)
          + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

  private static final int CHART_WIDTH = 300;
  private static final int CHART_HEIGHT = 48;

  private final NodeStatus status;
  private final StringBuilder html = new StringBuilder(8192);

  private StatusPage(NodeStatus status) {
    this.status = status;
  }

  /** The whole document. */
  static String document(NodeStatus status) {
    String title = text(status.node().hostname()) + " – litefs";
    return """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <noscript><meta http-equiv="refresh" content="5"></noscript>
        <link rel="icon" href="data:,">
        <title>"""
        + title
        + "</title>\n<style>"
        + STYLE
        + "</style>\n</head>\n<body>\n<main>\n"
        + sections(status)
        + "</main>\n<p id=\"connection\" hidden>Not connected to the node; what you see is old. Trying again…</p>\n<script>"
        + SCRIPT
        + "</script>\n</body>\n</html>\n";
  }

  /** What is in {@code main}: sections with ids, each of which can be replaced by itself. */
  static String sections(NodeStatus status) {
    StatusPage page = new StatusPage(status);
    page.head();
    page.history();
    page.databases();
    page.replicas();
    page.events();
    return page.html.toString();
  }

  // ------------------------------------------------------------ sections

  private void head() {
    NodeStatus.Node node = status.node();
    html.append("<section id=\"node\">\n<h1>")
        .append(text(node.hostname()))
        .append(" <span class=\"role ")
        .append(text(node.role()))
        .append("\">")
        .append(text(node.role()))
        .append("</span></h1>\n<dl>\n");
    field("since", Units.age(status.time(), node.roleSince()));
    primary(node);
    field("lag", StatusText.lag(status));
    field("lease", StatusText.leaseLine(status) + (node.candidate() ? ", candidate" : ""));
    field("node", node.id());
    field("cluster", node.clusterId().isEmpty() ? "none yet" : node.clusterId());
    field("version", node.version());
    field("up", Units.millis(status.uptime().toMillis()));
    field("mount", node.mount().toString());
    field("data", node.dataDir().toString());
    field("transport", node.transport());
    html.append("</dl>\n</section>\n");
  }

  private void primary(NodeStatus.Node node) {
    if (status.primary().isEmpty()) {
      field("primary", "none known");
      return;
    }
    NodeStatus.Primary primary = status.primary().get();
    if (node.role().equals("primary")) {
      field("primary", "this node");
      return;
    }
    html.append("<div><dt>primary</dt><dd>");
    String scheme = String.valueOf(primary.url().getScheme());
    if (scheme.equals("http") || scheme.equals("https")) {
      html.append("<a href=\"")
          .append(text(primary.url() + "/litefs/status"))
          .append("\">")
          .append(text(primary.hostname()))
          .append("</a>");
    } else {
      html.append(text(primary.hostname()));
    }
    html.append("</dd></div>\n");
  }

  private void field(String name, String value) {
    html.append("<div><dt>")
        .append(name)
        .append("</dt><dd>")
        .append(text(value))
        .append("</dd></div>\n");
  }

  private void history() {
    History.Series series = status.history();
    html.append("<section id=\"history\">\n");
    double[] transactions = series.transactionsPerSecond();
    double[] bytes = series.bytesPerSecond();
    double[] lag = series.lagMillis();
    chart("transactions/s", transactions, Units.rate(last(transactions)));
    chart("bytes/s", bytes, Units.size(Math.round(last(bytes))) + "/s");
    chart("lag", lag, last(lag) < 0 ? "unknown" : Units.millis(Math.round(last(lag))));
    html.append("</section>\n");
  }

  private static double last(double[] values) {
    return values.length == 0 ? 0 : values[values.length - 1];
  }

  private void chart(String name, double[] values, String now) {
    double max = 0;
    for (double value : values) {
      max = Math.max(max, value);
    }
    StringBuilder points = new StringBuilder();
    double step = (double) CHART_WIDTH / (History.SAMPLES - 1);
    for (int i = 0; i < values.length; i++) {
      double x = CHART_WIDTH - (values.length - 1 - i) * step;
      double y =
          CHART_HEIGHT - 1 - (max == 0 ? 0 : Math.max(0, values[i]) / max * (CHART_HEIGHT - 2));
      points.append(String.format(Locale.ROOT, "%.1f,%.1f ", x, y));
    }
    html.append("<figure><figcaption>")
        .append(name)
        .append(" <b>")
        .append(text(now))
        .append("</b></figcaption><svg viewBox=\"0 0 ")
        .append(CHART_WIDTH)
        .append(' ')
        .append(CHART_HEIGHT)
        .append("\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"")
        .append(name)
        .append(" in the last five minutes\"><polyline points=\"")
        .append(points.toString().strip())
        .append("\"/></svg></figure>\n");
  }

  private void databases() {
    html.append("<section id=\"databases\">\n<h2>Databases</h2>\n");
    for (NodeStatus.Quarantined entry : status.quarantine()) {
      html.append("<p class=\"bad\"><b>")
          .append(text(entry.name()))
          .append("</b> is not served: ")
          .append(text(entry.reason()))
          .append("; its files are in ")
          .append(text(entry.path().toString()))
          .append("</p>\n");
    }
    if (status.databases().isEmpty()) {
      html.append("<p>None. Whatever SQLite creates in ")
          .append(text(status.node().mount().toString()))
          .append(" appears here.</p>\n</section>\n");
      return;
    }
    tableHead("Name", "Size", "Pages", "Journal", "Position", "Last transaction", "LTX", "Locks");
    for (DatabaseStatus database : status.databases()) {
      database(database);
    }
    html.append("</tbody></table>\n</section>\n");
  }

  private void database(DatabaseStatus database) {
    html.append("<tr>");
    cell("Name", "<b>" + text(database.name()) + "</b>" + remarks(database));
    cell("Size", text(Units.size(database.bytes())));
    cell("Pages", database.pages() + " × " + database.pageSize());
    cell("Journal", database.walMode() ? "WAL" : "rollback");
    cell(
        "Position",
        "<code>"
            + database.pos().txid()
            + "</code> <code class=\"dim\">"
            + database.pos().checksum()
            + "</code>");
    cell("Last transaction", text(StatusText.last(database, status.time())));
    cell(
        "LTX",
        text(Units.count(database.ltxFiles(), "file") + ", " + Units.size(database.ltxBytes())));
    cell("Locks", lines(StatusText.locksByHolder(database)));
    html.append("</tr>\n");
  }

  private String remarks(DatabaseStatus database) {
    StringBuilder notes = new StringBuilder();
    for (String note : StatusText.remarks(database, status.time())) {
      notes.append("<br><span class=\"bad\">").append(text(note)).append("</span>");
    }
    return notes.toString();
  }

  private static String lines(List<String> lines) {
    return lines.isEmpty()
        ? "–"
        : String.join("<br>", lines.stream().map(StatusPage::text).toList());
  }

  private void replicas() {
    html.append("<section id=\"replicas\">\n");
    if (status.node().role().equals("primary") || !status.replicas().isEmpty()) {
      html.append("<h2>Replicas</h2>\n");
      if (status.replicas().isEmpty()) {
        html.append("<p>None is connected.</p>\n");
      } else {
        tableHead("Name", "Address", "Connected", "Sent", "Behind", "Positions");
        status.replicas().forEach(this::replica);
        html.append("</tbody></table>\n");
      }
    }
    html.append("</section>\n");
  }

  private void replica(Replica replica) {
    html.append("<tr>");
    cell(
        "Name",
        "<b>"
            + text(replica.hostname())
            + "</b> <code class=\"dim\">"
            + text(replica.id())
            + "</code>");
    cell("Address", text(replica.address()));
    cell("Connected", text(Units.age(status.time(), replica.since())));
    cell("Sent", text(Units.size(replica.bytesSent())));
    String behind = text(StatusText.behind(replica));
    cell(
        "Behind",
        replica.millisBehind() > Duration.ofSeconds(10).toMillis()
            ? "<span class=\"bad\">" + behind + "</span>"
            : behind);
    StringBuilder positions = new StringBuilder();
    for (ReplicaPosition position : replica.databases()) {
      positions
          .append(positions.isEmpty() ? "" : "<br>")
          .append(text(position.database()))
          .append(" <code>")
          .append(position.pos().map(pos -> pos.txid().toString()).orElse("nothing yet"))
          .append("</code>");
    }
    cell("Positions", positions.isEmpty() ? "–" : positions.toString());
    html.append("</tr>\n");
  }

  private void events() {
    html.append("<section id=\"events\">\n<h2>Events</h2>\n<ol>\n");
    for (EventLog.Event event : status.events()) {
      html.append("<li class=\"")
          .append(event.level().toLowerCase(Locale.ROOT))
          .append("\"><time datetime=\"")
          .append(event.time())
          .append("\">")
          .append(event.time().toString(), 0, 19)
          .append("Z</time> ")
          .append(text(event.message()))
          .append("</li>\n");
    }
    html.append("</ol>\n</section>\n");
  }

  // ------------------------------------------------------------ parts

  private void tableHead(String... names) {
    html.append("<table><thead><tr>");
    for (String name : names) {
      html.append("<th>").append(name).append("</th>");
    }
    html.append("</tr></thead><tbody>\n");
  }

  /** On narrow screens rows become cards, and each cell says what it is. */
  private void cell(String name, String content) {
    html.append("<td data-label=\"")
        .append(name)
        .append("\"><div>")
        .append(content)
        .append("</div></td>");
  }

  /** Text as it must be in HTML, in content and in quoted attributes. */
  static String text(String text) {
    StringBuilder escaped = new StringBuilder(text.length() + 16);
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '&' -> escaped.append("&amp;");
        case '<' -> escaped.append("&lt;");
        case '>' -> escaped.append("&gt;");
        case '"' -> escaped.append("&quot;");
        case '\'' -> escaped.append("&#39;");
        default -> escaped.append(c < ' ' ? '\uFFFD' : c);
      }
    }
    return escaped.toString();
  }

  private static String resource(String name) {
    try (InputStream in = StatusPage.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException("the jar is damaged: " + name, e);
    }
  }

  private static String hash(String content) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(content.getBytes(StandardCharsets.UTF_8));
      return "sha256-" + Base64.getEncoder().encodeToString(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}

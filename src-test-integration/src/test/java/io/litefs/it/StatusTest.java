package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.litefs.it.sqlite.Driver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The status as page (in a real browser), JSON and command. */
class StatusTest {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofSeconds(30);

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  private static Browser browser;

  @BeforeAll
  static void startBrowser() {
    browser = Browser.start();
  }

  @AfterAll
  static void stopBrowser() {
    browser.close();
  }

  private static String url(Node node) {
    return "http://127.0.0.1:" + node.port();
  }

  private static String page(Node node) {
    return url(node) + "/litefs/status";
  }

  private static JsonNode status(Node node) {
    try {
      return JSON.readTree(node.http().get("/litefs/status.json").body());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static JsonNode database(JsonNode status, String name) {
    for (JsonNode database : status.path("databases")) {
      if (database.path("name").asText().equals(name)) {
        return database;
      }
    }
    throw new AssertionError("no database " + name + " in " + status);
  }

  private static void write(String db, String sql) {
    Commands.run("sqlite3", NODES.primary().db(db).toString(), sql).orThrow();
  }

  @Test
  void theJsonTellsPositionsAndReplicas() {
    write("told.db", "PRAGMA journal_mode = WAL;" + Sql.CREATE + ";" + Sql.insert(100, 100));
    Position pos = NODES.cluster().sync("told.db");
    JsonNode status = status(NODES.primary());
    assertThat(status.path("node").path("role").asText()).isEqualTo("primary");
    assertThat(status.path("node").path("hostname").asText()).isEqualTo("the-primary");
    assertThat(status.path("lease").path("type").asText()).isEqualTo("static");
    JsonNode database = database(status, "told.db");
    assertThat(database.path("txID").asText() + "/" + database.path("checksum").asText())
        .isEqualTo(pos.toString());
    assertThat(database.path("journalMode").asText()).isEqualTo("wal");
    assertThat(database.path("bytes").asLong())
        .isEqualTo(database.path("pages").asLong() * database.path("pageSize").asLong())
        .isPositive();
    assertThat(database.path("ltxFiles").asLong()).isEqualTo(pos.txid());

    Await.until(
        "the replica lacks nothing",
        () -> {
          JsonNode replicas = status(NODES.primary()).path("replicas");
          assertThat(replicas).hasSize(1);
          JsonNode there = database(replicas.get(0), "told.db");
          return there.path("txID").asText().equals(database.path("txID").asText())
              && there.path("behindTransactions").asLong() == 0
              && there.path("behindBytes").asLong() == 0;
        });
    JsonNode replica = status(NODES.replica());
    assertThat(replica.path("node").path("role").asText()).isEqualTo("replica");
    assertThat(replica.path("primary").path("hostname").asText()).isEqualTo("the-primary");
    assertThat(replica.path("primary").path("url").asText()).isEqualTo(url(NODES.primary()));
    assertThat(replica.path("node").path("clusterID").asText())
        .isEqualTo(status.path("node").path("clusterID").asText());
    assertThat(database(replica, "told.db").path("txID").asText())
        .isEqualTo(database.path("txID").asText());
  }

  @Test
  void whoHoldsALockIsNamed() {
    for (JournalMode mode : List.of(JournalMode.DELETE, JournalMode.WAL)) {
      String db = "locked-" + mode;
      write(db, mode.pragma() + ";" + Sql.CREATE);
      try (var session = Driver.SHELL.open(NODES.primary().db(db))) {
        session.run(mode.pragma());
        session.run("BEGIN IMMEDIATE");
        String lock = mode == JournalMode.WAL ? "WAL_WRITE" : "RESERVED";
        Await.until(
            "the status shows " + lock,
            () -> {
              for (JsonNode held : database(status(NODES.primary()), db).path("locks")) {
                if (held.path("lock").asText().equals(lock)) {
                  assertThat(held.path("command").asText()).isEqualTo("sqlite3");
                  assertThat(held.path("pid").asInt()).isPositive();
                  assertThat(held.path("exclusive").asBoolean()).isTrue();
                  assertThat(held.path("waiting").asBoolean()).isFalse();
                  return true;
                }
              }
              return false;
            });
        session.run("COMMIT");
      }
      Await.until(
          "no lock is left", () -> database(status(NODES.primary()), db).path("locks").isEmpty());
    }
  }

  @Test
  void thePageShowsWhatTheJsonSaysAndAsksNobodyElse() {
    String hostile = "<img src=x onerror=alert(1)>'\"&.db";
    write(hostile, Sql.CREATE);
    browser.open(page(NODES.primary()));
    JsonNode status = status(NODES.primary());
    String text = browser.text("databases");
    for (JsonNode database : status.path("databases")) {
      assertThat(text)
          .contains(
              database.path("name").asText(),
              database.path("txID").asText(),
              database.path("checksum").asText());
    }
    assertThat(text).contains(hostile);
    assertThat(browser.evaluate("document.images.length")).isEqualTo("0");
    assertThat(browser.text("node"))
        .contains("the-primary", "primary", status.path("node").path("id").asText());
    assertThat(browser.text("replicas"))
        .contains(status.path("replicas").get(0).path("id").asText());
    assertThat(browser.text("events")).contains("role: searching -> primary");
    Await.until(
        "the page listens", () -> browser.requests().contains(page(NODES.primary()) + "/stream"));
    assertThat(browser.requests())
        .allMatch(url -> url.startsWith(page(NODES.primary())) || url.startsWith("data:"));
    assertThat(browser.errors()).isEmpty();
  }

  @Test
  void thePageFollowsTransactionsAndRoles() {
    Node replica = NODES.replica();
    write("followed.db", Sql.CREATE);
    NODES.cluster().sync("followed.db");
    browser.open(page(replica));
    browser.evaluate("document.body.dataset.same = 'yes'");
    write("followed.db", Sql.insert(10, 10));
    Position pos = NODES.cluster().sync("followed.db");
    Await.until(
        "the page shows the transaction",
        () -> browser.text("databases").contains(pos.toString().substring(17)));
    assertThat(browser.text("node")).contains("replica");

    NODES.primary().stop();
    Await.until(
        "the page shows that the primary is gone",
        () -> browser.text("node").contains("searching"));
    assertThat(browser.text("events")).contains("role: replica -> searching");
    NODES.primary().start();
    Await.until(
        "the page shows that it is back", () -> browser.text("events").contains("in sync with"));
    assertThat(browser.evaluate("document.body.dataset.same")).as("no reload").isEqualTo("yes");
    assertThat(browser.errors()).isEmpty();
  }

  @Test
  void thePageFitsAPhoneAndTheDark() {
    write("x".repeat(150) + ".db", Sql.CREATE);
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        Map.of("width", 400, "height", 800, "deviceScaleFactor", 1, "mobile", true));
    try {
      String light = colours("light");
      assertThat(Integer.parseInt(browser.evaluate("document.documentElement.scrollWidth")))
          .isLessThanOrEqualTo(400);
      assertThat(browser.evaluate("getComputedStyle(document.querySelector('td')).display"))
          .isEqualTo("flex");
      assertThat(light).isNotEqualTo(colours("dark"));
    } finally {
      browser.call("Emulation.clearDeviceMetricsOverride", Map.of());
      browser.call("Emulation.setEmulatedMedia", Map.of("features", List.of()));
    }
  }

  /** The page's colours in a scheme, which must contrast. */
  private static String colours(String scheme) {
    browser.call(
        "Emulation.setEmulatedMedia",
        Map.of("features", List.of(Map.of("name", "prefers-color-scheme", "value", scheme))));
    browser.open(page(NODES.primary()));
    String colours =
        browser.evaluate(
            "getComputedStyle(document.body).color + ' ' + getComputedStyle(document.body).backgroundColor");
    double[] luminance =
        java.util.regex.Pattern.compile("rgb\\((\\d+), (\\d+), (\\d+)\\)")
            .matcher(colours)
            .results()
            .mapToDouble(
                c ->
                    0.2126 * linear(c.group(1))
                        + 0.7152 * linear(c.group(2))
                        + 0.0722 * linear(c.group(3)))
            .sorted()
            .toArray();
    assertThat((luminance[1] + 0.05) / (luminance[0] + 0.05)).as(colours).isGreaterThan(7);
    return colours;
  }

  private static double linear(String component) {
    double c = Integer.parseInt(component) / 255.0;
    return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4);
  }

  @Test
  void thePageIsTrueWithoutScripts() {
    write("scriptless.db", Sql.CREATE);
    browser.call("Emulation.setScriptExecutionDisabled", Map.of("value", true));
    try {
      browser.open(page(NODES.primary()));
      String txid = database(status(NODES.primary()), "scriptless.db").path("checksum").asText();
      assertThat(browser.html()).contains("scriptless.db", txid);
      write("scriptless.db", Sql.insert(10, 10));
      String next = database(status(NODES.primary()), "scriptless.db").path("checksum").asText();
      assertThat(next).isNotEqualTo(txid);
      Await.until("the page has reloaded itself", () -> browser.html().contains(next));
    } finally {
      browser.call("Emulation.setScriptExecutionDisabled", Map.of("value", false));
    }
  }

  @Test
  void theCommandsShowTheSame() throws IOException {
    write("shown.db", Sql.CREATE);
    String txid = database(status(NODES.primary()), "shown.db").path("txID").asText();
    for (String command : List.of("status", "databases")) {
      Commands.Result text = Node.litefs(LIMIT, command, "-url", url(NODES.primary())).orThrow();
      assertThat(text.output()).contains("shown.db", txid);
      Commands.Result json =
          Node.litefs(LIMIT, command, "-url", url(NODES.primary()), "-json").orThrow();
      assertThat(database(JSON.readTree(json.output()), "shown.db").path("txID").asText())
          .isEqualTo(txid);
    }
    Commands.Result none = Node.litefs(LIMIT, "status", "-url", "http://127.0.0.1:" + Ports.free());
    assertThat(none.exitCode()).isEqualTo(1);
    assertThat(none.output().strip()).doesNotContain("\n").contains("is 'litefs mount' running");
  }
}

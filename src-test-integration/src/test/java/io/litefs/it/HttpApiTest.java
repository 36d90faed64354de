package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * {@code /info}, {@code /events}, {@code /export}, {@code /import}, {@code /metrics}, and errors.
 */
class HttpApiTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  private static void write(String db, String sql) {
    Commands.run("sqlite3", NODES.primary().db(db).toString(), sql).orThrow();
  }

  @Test
  void infoTellsWhoIsPrimary() {
    JsonNode primary = NODES.primary().info();
    assertThat(primary.path("isPrimary").asBoolean()).isTrue();
    assertThat(primary.path("candidate").asBoolean()).isTrue();
    assertThat(primary.path("path").asText()).isEqualTo(NODES.primary().mount().toString());
    assertThat(primary.path("clusterID").asText()).matches("LFSC[0-9A-F]{16}");
    Await.until(
        "the replica knows its primary",
        () -> !NODES.replica().info().path("primary").path("hostname").asText().isEmpty());
    JsonNode replica = NODES.replica().info();
    assertThat(replica.path("isPrimary").asBoolean()).isFalse();
    assertThat(replica.path("candidate").asBoolean()).isFalse();
    assertThat(replica.path("primary").path("hostname").asText()).isEqualTo("the-primary");
    assertThat(replica.path("clusterID").asText()).isEqualTo(primary.path("clusterID").asText());
  }

  @Test
  void everyAnswerNamesNodeAndCluster() {
    for (Node node : NODES.cluster().nodes()) {
      for (String path : new String[] {"/info", "/export?name=absent"}) {
        HttpResponse<String> response = node.http().get(path);
        assertThat(response.headers().firstValue("Litefs-Id").orElse("")).matches("[0-9A-F]{16}");
        assertThat(response.headers().firstValue("Litefs-Cluster-Id").orElse(""))
            .matches("LFSC[0-9A-F]{16}");
      }
    }
  }

  @Test
  void eventsTellEachTransactionInOrder() {
    for (Node node : NODES.cluster().nodes()) {
      String db = "events-" + NODES.cluster().nodes().indexOf(node);
      try (EventStream events = new EventStream(node.http())) {
        JsonNode init = events.all().get(0);
        assertThat(init.path("type").asText()).isEqualTo("init");
        assertThat(init.path("data").path("isPrimary").asBoolean())
            .isEqualTo(node == NODES.primary());
        write(db, Sql.CREATE);
        for (int i = 0; i < 20; i++) {
          write(db, "INSERT INTO t(a) VALUES (" + i + ")");
        }
        Position last = NODES.cluster().sync(db);
        events.await(
            Await.LONG,
            "transaction 21",
            e ->
                e.path("db").asText().equals(db)
                    && e.path("data").path("txID").asText().equals("0000000000000015"));
        var transactions =
            events.all().stream().filter(e -> e.path("db").asText().equals(db)).toList();
        for (int i = 0; i < transactions.size(); i++) {
          JsonNode event = transactions.get(i);
          assertThat(event.path("type").asText()).isEqualTo("tx");
          assertThat(event.path("data").path("txID").asText())
              .isEqualTo(String.format("%016x", i + 1));
          assertThat(event.path("data").path("pageSize").asInt()).isEqualTo(4096);
          assertThat(event.path("data").path("commit").asInt()).isEqualTo(2);
          assertThat(event.path("data").path("timestamp").asText())
              .matches("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z");
        }
        assertThat(transactions.get(20).path("data").path("postApplyChecksum").asText())
            .isEqualTo(last.toString().substring(17));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "GET, /nothing-here, 404",
    "POST, /info, 405",
    "GET, /import, 405",
    "DELETE, /export, 405",
    "POST, /metrics, 405",
    "GET, /stream, 405",
    "POST, /stream, 426",
    "GET, /export?name=absent, 404",
    "GET, /export, 400",
    "GET, /export?name=../../etc/passwd, 404",
    "POST, /import, 400"
  })
  void errorsAreOneLineOfPlainText(String method, String path, int status) {
    HttpResponse<String> response = NODES.primary().http().call(method, path);
    if (path.contains("..")) {
      assertThat(response.statusCode()).isIn(400, 404);
    } else {
      assertThat(response.statusCode()).isEqualTo(status);
    }
    assertThat(response.headers().firstValue("Content-Type").orElse("")).startsWith("text/plain");
    assertThat(response.body().strip())
        .isNotEmpty()
        .doesNotContain("\n")
        .doesNotContain("Exception");
  }

  @Test
  void theApiSpeaksHttp2ByUpgradeOrAtLeastStaysOnHttp1() throws Exception {
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();
    var response =
        client.send(
            HttpRequest.newBuilder(
                    URI.create("http://127.0.0.1:" + NODES.primary().port() + "/info"))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    assertThat(response.statusCode()).isEqualTo(200);
  }

  @Test
  void importReplacesADatabaseInOneTransaction(@TempDir Path dir) throws Exception {
    Path one = dir.resolve("one.db");
    Path two = dir.resolve("two.db");
    Commands.run("sqlite3", one.toString(), Sql.CREATE + ";" + Sql.insert(500, 500)).orThrow();
    Commands.run(
            "sqlite3",
            two.toString(),
            "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; CREATE TABLE u(v); INSERT INTO u VALUES (1)")
        .orThrow();
    for (Path file : new Path[] {one, two, one}) {
      long before =
          Files.exists(NODES.primary().db("imported")) ? NODES.primary().pos("imported").txid() : 0;
      HttpResponse<String> response = NODES.primary().http().post("/import?name=imported", file);
      assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
      assertThat(NODES.primary().pos("imported").txid()).isEqualTo(before + 1);
      NODES.cluster().assertIdentical("imported");
    }
  }

  @Test
  void importOfWhatIsNoDatabaseIsRefusedAndChangesNothing(@TempDir Path dir) throws Exception {
    write("kept", Sql.CREATE + ";" + Sql.insert(10, 100));
    Position before = NODES.cluster().assertIdentical("kept");
    byte[] whole = Files.readAllBytes(NODES.primary().db("kept"));
    for (byte[] body :
        new byte[][] {
          "junk".repeat(5000).getBytes(),
          java.util.Arrays.copyOf(whole, 100),
          java.util.Arrays.copyOf(whole, whole.length - 10)
        }) {
      HttpResponse<String> response =
          NODES.primary().http().post("/import?name=kept", Files.write(dir.resolve("body"), body));
      assertThat(response.statusCode()).isBetween(400, 499);
      assertThat(NODES.cluster().assertIdentical("kept")).isEqualTo(before);
    }
  }

  @Test
  void aReplicaTakesNoImport(@TempDir Path dir) {
    Path file = dir.resolve("x.db");
    Commands.run("sqlite3", file.toString(), Sql.CREATE).orThrow();
    assertThat(NODES.replica().http().post("/import?name=x", file).statusCode()).isEqualTo(503);
    assertThat(NODES.replica().db("x")).doesNotExist();
  }

  @Test
  void exportWhileAWriterIsBusyIsOneConsistentDatabase() throws Exception {
    for (JournalMode mode : JournalMode.values()) {
      String db = "exported-" + mode;
      write(
          db,
          mode.pragma() + ";" + Sql.CREATE + ";" + Sql.insert(1000, 800) + "; UPDATE t SET a = 10");
      var stop = new java.util.concurrent.atomic.AtomicBoolean();
      Thread writer =
          new Thread(
              () -> {
                try (var session = io.litefs.it.sqlite.Driver.SHELL.open(NODES.primary().db(db))) {
                  session.run(mode.pragma());
                  for (int i = 0; !stop.get(); i++) {
                    session.runAll(
                        "BEGIN",
                        "UPDATE t SET a = a - 1 WHERE id = " + (i % 1000 + 1),
                        "UPDATE t SET a = a + 1 WHERE id = " + (i * 7 % 1000 + 1),
                        "COMMIT");
                  }
                }
              });
      writer.start();
      try {
        for (int i = 0; i < 5; i++) {
          for (Node node : NODES.cluster().nodes()) {
            if (node != NODES.primary()) {
              NODES.cluster().sync(db);
            }
            DatabaseImage image = node.export(db);
            assertThat(
                    Commands.run(
                            "sqlite3",
                            image.file().toString(),
                            "PRAGMA integrity_check; SELECT sum(a) FROM t")
                        .output())
                .isEqualTo("ok\n10000\n");
            image.delete();
          }
        }
      } finally {
        stop.set(true);
        writer.join();
      }
      NODES.cluster().assertIdentical(db);
    }
  }

  @Test
  void metricsAreThere() {
    write("measured", Sql.CREATE + ";" + Sql.insert(10, 10));
    NODES.cluster().sync("measured");
    Metrics primary = NODES.primary().metrics();
    assertThat(primary.get("litefs_is_primary")).isEqualTo(1);
    assertThat(NODES.replica().metrics().get("litefs_is_primary")).isZero();
    assertThat(primary.get("litefs_subscriber_count")).isGreaterThanOrEqualTo(1);
    assertThat(primary.get("litefs_db_count")).isGreaterThanOrEqualTo(1);
    assertThat(primary.get("litefs_db_txid", "db", "measured")).isEqualTo(2);
    assertThat(NODES.replica().metrics().get("litefs_db_txid", "db", "measured")).isEqualTo(2);
    assertThat(primary.get("litefs_db_commit_count", "db", "measured")).isEqualTo(2);
    for (String name :
        new String[] {
          "litefs_db_ltx_count",
          "litefs_db_ltx_bytes",
          "litefs_db_database_write_count",
          "litefs_db_journal_write_count"
        }) {
      assertThat(primary.get(name, "db", "measured")).as(name).isPositive();
    }
    assertThat(primary.get("litefs_lag_seconds")).isZero();
    // An increase is seen only of a series that there was before.
    assertThat(primary.get("litefs_db_diverged_count", "db", "measured")).isZero();
    assertThat(primary.get("litefs_db_damaged_page_count", "db", "measured")).isZero();
    for (String name :
        new String[] {
          "litefs_db_wal_write_count",
          "litefs_db_shm_write_count",
          "litefs_db_ltx_reap_count",
          "litefs_db_lag_seconds"
        }) {
      assertThat(primary.get(name, "db", "measured")).as(name).isGreaterThanOrEqualTo(0);
    }
  }
}

package io.litefs.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Pos;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** Status codes and shapes of the calls that answer at once. */
class HandlersTest {

  private static final Pos POS = Pos.parse("000000000000000a/c000000000000001");

  private final FakeExchange exchange = new FakeExchange();

  private static String info(NodeView node) {
    return new String(InfoHandler.body(node), StandardCharsets.UTF_8);
  }

  @Test
  void infoOfAReplicaNamesThePrimary() {
    assertThat(info(new NodeView("LFSC0123456789ABCDEF", false, true, "/litefs", "one")))
        .isEqualTo(
            """
            {"clusterID":"LFSC0123456789ABCDEF","isPrimary":false,"candidate":true,"path":"/litefs","primary":{"hostname":"one"}}
            """);
  }

  @Test
  void infoLeavesOutWhatIsUnknown() {
    assertThat(info(new NodeView(null, true, false, "/a \"b\"", null)))
        .isEqualTo(
            """
            {"isPrimary":true,"candidate":false,"path":"/a \\"b\\""}
            """);
  }

  @Test
  void infoIsJson() throws IOException {
    new InfoHandler(() -> new NodeView(null, true, true, "/m", null)).handle(exchange);
    assertThat(exchange.status).isEqualTo(200);
    assertThat(exchange.contentType).isEqualTo("application/json");
    assertThat(exchange.length).isEqualTo(exchange.response.size());
  }

  @Test
  void importHandsTheBodyOver() throws IOException {
    exchange.name("a.db").requestBody = "content".getBytes(StandardCharsets.UTF_8);
    StringBuilder seen = new StringBuilder();
    new ImportHandler(
            () -> true,
            (name, in) ->
                seen.append(name)
                    .append('=')
                    .append(new String(in.readAllBytes(), StandardCharsets.UTF_8)))
        .handle(exchange);
    assertThat(seen).hasToString("a.db=content");
    assertThat(exchange.status).isEqualTo(200);
  }

  @Test
  void importIsRefusedWithoutANameAndOnAReplica() throws IOException {
    AtomicBoolean primary = new AtomicBoolean();
    ImportHandler handler =
        new ImportHandler(
            primary::get,
            (name, in) -> {
              throw new AssertionError("must not be imported");
            });
    handler.handle(exchange.name("a.db"));
    assertThat(exchange.status).isEqualTo(503);
    primary.set(true);
    handler.handle(exchange.name(""));
    assertThat(exchange.status).isEqualTo(400);
  }

  @Test
  void aFailedImportGivesItsReason() {
    ImportHandler handler =
        new ImportHandler(
            () -> true,
            (name, in) -> {
              throw new IOException("no database");
            });
    assertThatThrownBy(() -> handler.handle(exchange.name("a.db"))).hasMessage("no database");
  }

  @Test
  void exportSendsTheDatabaseWithItsSizeAndPosition() throws IOException {
    AtomicBoolean closed = new AtomicBoolean();
    new ExportHandler((name, damaged) -> exported(name + "!", closed))
        .handle(exchange.name("a.db"));
    assertThat(exchange.status).isEqualTo(200);
    assertThat(exchange.text()).isEqualTo("a.db!");
    assertThat(exchange.length).isEqualTo(5);
    assertThat(exchange.responseHeaders).containsEntry("Litefs-Pos", POS.toString());
    assertThat(closed).isTrue();
  }

  @Test
  void exportOfAnAbsentDatabaseIs404() throws IOException {
    new ExportHandler((name, damaged) -> null).handle(exchange.name("a.db"));
    assertThat(exchange.status).isEqualTo(404);
    assertThat(exchange.text()).contains("a.db");
  }

  @Test
  void metricsAreInPrometheusText() throws IOException {
    new MetricsHandler(
            text ->
                text.gauge("litefs_db_count", "Number of databases.")
                    .sample(2)
                    .counter("litefs_x", "Odd values.")
                    .sample(0.25, "db", "a\"b\\c\nd", "type", "ltx")
                    .sample(1e12, "db", "e"))
        .handle(exchange);
    assertThat(exchange.contentType).isEqualTo("text/plain; version=0.0.4; charset=utf-8");
    assertThat(exchange.text())
        .isEqualTo(
            """
            # HELP litefs_db_count Number of databases.
            # TYPE litefs_db_count gauge
            litefs_db_count 2
            # HELP litefs_x Odd values.
            # TYPE litefs_x counter
            litefs_x{db="a\\"b\\\\c\\nd",type="ltx"} 0.25
            litefs_x{db="e"} 1000000000000
            """);
  }

  private static ExportHandler.Exported exported(String content, AtomicBoolean closed) {
    return new ExportHandler.Exported() {
      @Override
      public long size() {
        return content.length();
      }

      @Override
      public InputStream stream() {
        return new ByteArrayInputStream(content.getBytes(StandardCharsets.UTF_8));
      }

      @Override
      public Pos pos() {
        return POS;
      }

      @Override
      public void close() {
        closed.set(true);
      }
    };
  }
}

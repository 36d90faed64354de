package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code import} and {@code export} against a node that is only an HTTP server. */
class TransferCommandsTest {

  @TempDir Path dir;

  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private HttpServer node;
  private volatile byte[] imported;
  private volatile String query;

  @BeforeEach
  void start() throws IOException {
    node = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    node.start();
  }

  @AfterEach
  void stop() {
    node.stop(0);
  }

  private interface Answer {
    void to(HttpExchange exchange) throws IOException;
  }

  private void on(String path, Answer answer) {
    node.createContext(
        path,
        exchange -> {
          query = exchange.getRequestURI().getRawQuery();
          try (exchange) {
            answer.to(exchange);
          }
        });
  }

  private static Answer text(int status, String body) {
    return exchange -> {
      byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
      exchange.getRequestBody().readAllBytes();
      exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
      exchange.getResponseBody().write(bytes);
    };
  }

  private int run(String command, Path file) {
    PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
    String url = "http://127.0.0.1:" + node.getAddress().getPort() + "/";
    return new Main(stream, stream, () -> null)
        .run(command, "-name", "a b.db", "-url", url, file.toString());
  }

  private String err() {
    return err.toString(StandardCharsets.UTF_8);
  }

  @Test
  void exportWritesTheFileOnceItIsComplete() throws IOException {
    on("/export", text(200, "content"));
    Path file = Files.writeString(dir.resolve("copy.db"), "old and longer content");
    assertThat(run("export", file)).isZero();
    assertThat(file).hasContent("content");
    assertThat(query).isEqualTo("name=a+b.db");
    assertThat(dir).isDirectoryContaining(path -> path.equals(file));
    assertThat(dir.toFile().list()).hasSize(1);
    assertThat(err()).isEmpty();
  }

  @Test
  void aBrokenExportLeavesTheOldFile() throws IOException {
    on(
        "/export",
        exchange -> {
          exchange.sendResponseHeaders(200, 100);
          exchange.getResponseBody().write(new byte[10]);
        });
    Path file = Files.writeString(dir.resolve("copy.db"), "old");
    assertThat(run("export", file)).isEqualTo(1);
    assertThat(file).hasContent("old");
    assertThat(dir.toFile().list()).hasSize(1);
    assertThat(err().lines()).hasSize(1);
    assertThat(err()).contains("broke");
  }

  @Test
  void anAbsentDatabaseIsNamed() {
    on("/export", text(404, "no such database: a b.db\n"));
    assertThat(run("export", dir.resolve("copy.db"))).isEqualTo(1);
    assertThat(err()).contains("'a b.db'", "no such database");
    assertThat(dir).isEmptyDirectory();
  }

  @Test
  void aDirectoryThatCannotBeWrittenIsNamed() {
    on("/export", text(200, "content"));
    Path file = dir.resolve("absent").resolve("copy.db");
    assertThat(run("export", file)).isEqualTo(1);
    assertThat(err()).contains(dir.resolve("absent").toString(), "no such file or directory");
  }

  @Test
  void importSendsTheFile() throws IOException {
    on("/info", text(200, "{\"isPrimary\":true,\"path\":\"/m\"}"));
    on(
        "/import",
        exchange -> {
          imported = exchange.getRequestBody().readAllBytes();
          assertThat(exchange.getRequestHeaders().getFirst("Content-Length")).isEqualTo("7");
          exchange.sendResponseHeaders(200, -1);
        });
    Path file = Files.writeString(dir.resolve("a.db"), "content");
    assertThat(run("import", file)).as(err()).isZero();
    assertThat(imported).isEqualTo("content".getBytes(StandardCharsets.UTF_8));
    assertThat(query).isEqualTo("name=a+b.db");
  }

  @Test
  void anImportWithoutAnAnswerMayHaveBeenCarriedOut() throws IOException {
    on("/info", text(200, "{\"isPrimary\":true,\"path\":\"/m\"}"));
    on("/import", exchange -> exchange.getRequestBody().readAllBytes());
    assertThat(run("import", Files.writeString(dir.resolve("a.db"), "content"))).isEqualTo(1);
    assertThat(err().lines()).hasSize(1);
    assertThat(err())
        .contains("broke", "whether the import was carried out is not known", "litefs databases")
        .doesNotContain("nothing was changed");
  }

  @Test
  void aPromotionWithoutAnAnswerMayHaveBeenCarriedOut() {
    on("/promote", exchange -> exchange.getRequestBody().readAllBytes());
    PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
    String url = "http://127.0.0.1:" + node.getAddress().getPort();
    assertThat(new Main(stream, stream, () -> null).run("promote", "-url", url)).isEqualTo(1);
    assertThat(err())
        .contains("whether the promote was carried out is not known", "litefs status -url " + url);
  }

  @Test
  void aReplicaIsNotSentAnything() throws IOException {
    on(
        "/info",
        text(200, "{\"isPrimary\":false,\"path\":\"/m\",\"primary\":{\"hostname\":\"one\"}}"));
    Path file = Files.writeString(dir.resolve("a.db"), "content");
    assertThat(run("import", file)).isEqualTo(1);
    assertThat(err()).contains("not the primary, one is", "-url");
  }

  @Test
  void theReasonOfARefusalIsShown() throws IOException {
    on("/info", text(200, "{\"isPrimary\":true}"));
    on("/import", text(500, "a b.db: the file is no SQLite database\n"));
    Path file = Files.writeString(dir.resolve("a.db"), "content");
    assertThat(run("import", file)).isEqualTo(1);
    assertThat(err())
        .isEqualTo("litefs: cannot import 'a b.db': a b.db: the file is no SQLite database\n");
  }

  @Test
  void whatIsNoLitefsNodeIsNamed() throws IOException {
    on("/info", text(200, "<html>hello"));
    Path file = Files.writeString(dir.resolve("a.db"), "content");
    assertThat(run("import", file)).isEqualTo(1);
    assertThat(err().lines()).hasSize(1);
    assertThat(err()).contains("does not answer as a litefs node");
  }
}

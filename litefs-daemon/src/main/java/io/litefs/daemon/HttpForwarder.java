package io.litefs.daemon;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.litefs.ltx.Pos;
import io.litefs.store.HaltRefusedException;
import io.litefs.store.WriteForwarder;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** Calls the primary's {@code /halt} and {@code /tx}. */
final class HttpForwarder implements WriteForwarder {

  private static final Duration CONNECT = Duration.ofSeconds(5);

  /** Longer than a primary waits for its writers. */
  private static final Duration HALT = Duration.ofSeconds(15);

  private static final int MAX_LINE = 500;

  private final Supplier<Optional<URI>> primary;

  /**
   * @param primary the API of the primary that this node follows
   */
  HttpForwarder(Supplier<Optional<URI>> primary) {
    this.primary = primary;
  }

  /** Made with the first call: most nodes never need it. */
  private static final class Client {
    // Not HTTP/2: it would begin with an upgrade, and a broken connection should be this call's.
    static final HttpClient HTTP =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT)
            .build();
  }

  @Override
  public Pos halt(String database, long id) throws IOException {
    HttpRequest request =
        request("/halt", database, "id", id)
            .timeout(HALT)
            .POST(HttpRequest.BodyPublishers.noBody())
            .build();
    HttpResponse<String> response = send(request);
    switch (response.statusCode()) {
      case 200 -> {
        return pos(response.body());
      }
      case 404 -> throw refused(HaltRefusedException.Reason.NO_DATABASE, response);
      case 409 -> throw refused(HaltRefusedException.Reason.BUSY, response);
      case 503 -> throw refused(HaltRefusedException.Reason.NOT_PRIMARY, response);
      // Not BUSY, which is waited for without end.
      default -> throw new IOException(line(response));
    }
  }

  private static HaltRefusedException refused(
      HaltRefusedException.Reason reason, HttpResponse<String> response) {
    return new HaltRefusedException(reason, line(response));
  }

  @Override
  public void release(String database, long id) throws IOException {
    send(request("/halt", database, "id", id).timeout(HALT).DELETE().build());
  }

  @Override
  public CompletableFuture<Optional<String>> send(String database, long id, Path file) {
    HttpRequest request;
    try {
      request =
          request("/tx", database, "lockID", id)
              .POST(HttpRequest.BodyPublishers.ofFile(file))
              .build();
    } catch (FileNotFoundException e) {
      return CompletableFuture.completedFuture(Optional.of(e.getMessage()));
    } catch (IOException e) {
      return CompletableFuture.failedFuture(e);
    }
    return Client.HTTP
        .sendAsync(request, HttpResponse.BodyHandlers.ofString())
        .thenApply(
            response ->
                response.statusCode() == 200 ? Optional.empty() : Optional.of(line(response)));
  }

  private HttpRequest.Builder request(String path, String database, String parameter, long id)
      throws IOException {
    URI base = primary.get().orElseThrow(() -> new IOException("no primary is known"));
    return HttpRequest.newBuilder(
        URI.create(
            "%s%s?name=%s&%s=%s"
                .formatted(
                    base,
                    path,
                    URLEncoder.encode(database, StandardCharsets.UTF_8),
                    parameter,
                    Long.toUnsignedString(id))));
  }

  private static HttpResponse<String> send(HttpRequest request) throws IOException {
    try {
      return Client.HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } catch (IOException e) {
      String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
      throw new IOException("the primary at " + request.uri().getAuthority() + ": " + reason, e);
    }
  }

  private static String line(HttpResponse<String> response) {
    String text = response.body().lines().findFirst().orElse("").strip();
    return text.isEmpty()
        ? "the primary answered with HTTP status " + response.statusCode()
        : text.substring(0, Math.min(MAX_LINE, text.length()));
  }

  private static Pos pos(String body) throws IOException {
    String txid = "";
    String checksum = "";
    try (JsonParser json = new JsonFactory().createParser(body)) {
      for (JsonToken token = json.nextToken(); token != null; token = json.nextToken()) {
        if (token == JsonToken.VALUE_STRING && "TXID".equals(json.currentName())) {
          txid = json.getText();
        } else if (token == JsonToken.VALUE_STRING
            && "PostApplyChecksum".equals(json.currentName())) {
          checksum = json.getText();
        }
      }
      return Pos.parse(txid + "/" + checksum);
    } catch (IllegalArgumentException e) {
      throw new IOException("the primary's answer to /halt has no position: " + body.strip(), e);
    }
  }
}

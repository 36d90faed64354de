package io.litefs.daemon.client;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.function.Supplier;

/**
 * The API of a running node, as the commands use it. Every failure is a {@link CommandException}
 * that names the address.
 */
public final class ApiClient {

  /** Where the API of a node on this machine is unless configured otherwise. */
  public static final String DEFAULT_URL = "http://localhost:20202";

  private final URI base;
  private final HttpClient http;

  /**
   * What {@code GET /info} says.
   *
   * @param primaryHostname empty if the node knows no other primary
   */
  public record Info(boolean isPrimary, String primaryHostname) {}

  public ApiClient(URI base) {
    this.base = base;
    // Not HTTP/2: the client would begin with an upgrade, of no use for one request.
    this.http =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .build();
  }

  public static ApiClient at(String url) throws CommandException {
    URI uri;
    try {
      uri = URI.create(url.endsWith("/") ? url.substring(0, url.length() - 1) : url);
    } catch (IllegalArgumentException e) {
      throw CommandException.usage("the URL '" + url + "' cannot be read: " + e.getMessage(), e);
    }
    if (uri.getHost() == null
        || !("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
      throw CommandException.usage(
          "the URL '" + url + "' is none of a node; write it as " + DEFAULT_URL, null);
    }
    return new ApiClient(uri);
  }

  public Info info() throws CommandException, InterruptedException {
    HttpResponse<InputStream> response = send(HttpRequest.newBuilder(uri("/info")).GET());
    try (InputStream body = response.body();
        JsonParser json = new JsonFactory().createParser(body)) {
      expectOk(response.statusCode(), "ask the node at " + base, body);
      boolean isPrimary = false;
      String hostname = "";
      for (JsonToken token = json.nextToken(); token != null; token = json.nextToken()) {
        if (token == JsonToken.VALUE_TRUE && "isPrimary".equals(json.currentName())) {
          isPrimary = true;
        } else if (token == JsonToken.VALUE_STRING && "hostname".equals(json.currentName())) {
          hostname = json.getText();
        }
      }
      return new Info(isPrimary, hostname);
    } catch (JsonProcessingException e) {
      throw new CommandException(
          base + " does not answer as a litefs node: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw lost(e);
    }
  }

  /** Sends a database. {@code open} is called once. */
  public void importDatabase(String name, long size, Supplier<InputStream> open)
      throws CommandException, InterruptedException {
    HttpRequest.BodyPublisher publisher =
        size == 0
            ? HttpRequest.BodyPublishers.noBody()
            : HttpRequest.BodyPublishers.fromPublisher(
                HttpRequest.BodyPublishers.ofInputStream(open), size);
    HttpResponse<InputStream> response =
        send(HttpRequest.newBuilder(named("/import", name)).POST(publisher));
    try (InputStream body = response.body()) {
      expectOk(response.statusCode(), "import '" + name + "'", body);
    } catch (IOException e) {
      throw lost(e);
    }
  }

  /** Takes the bytes of a database as they come. */
  @FunctionalInterface
  public interface Receiver {
    /**
     * @param pos position of the database, as text; empty if the node does not say
     * @param size bytes to come; -1 if unknown
     */
    void receive(InputStream in, String pos, long size) throws IOException, CommandException;
  }

  public void export(String name, Receiver receiver) throws CommandException, InterruptedException {
    HttpResponse<InputStream> response = send(HttpRequest.newBuilder(named("/export", name)).GET());
    try (InputStream body = response.body()) {
      if (response.statusCode() == 404) {
        throw new CommandException(
            "cannot export '" + name + "': the node at " + base + " has no such database");
      }
      expectOk(response.statusCode(), "export '" + name + "'", body);
      receiver.receive(
          body,
          response.headers().firstValue("Litefs-Pos").orElse(""),
          response.headers().firstValueAsLong("Content-Length").orElse(-1));
    } catch (IOException e) {
      throw lost(e);
    }
  }

  private HttpResponse<InputStream> send(HttpRequest.Builder request)
      throws CommandException, InterruptedException {
    try {
      return http.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
    } catch (ConnectException | HttpConnectTimeoutException e) {
      throw new CommandException(
          "cannot reach "
              + base
              + ": connection refused; is 'litefs mount' running there? -url names another node",
          e);
    } catch (IOException e) {
      throw lost(e);
    }
  }

  private CommandException lost(IOException e) {
    String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    return new CommandException(
        "the connection to " + base + " broke: " + reason + "; nothing was changed, try again", e);
  }

  private void expectOk(int status, String what, InputStream body)
      throws IOException, CommandException {
    if (status == 200) {
      return;
    }
    String reason = new String(body.readNBytes(1000), StandardCharsets.UTF_8).strip();
    throw new CommandException(
        "cannot " + what + ": " + (reason.isEmpty() ? "HTTP status " + status : reason));
  }

  private URI uri(String path) {
    return URI.create(base + path);
  }

  private URI named(String path, String name) {
    return uri(path + "?name=" + URLEncoder.encode(name, StandardCharsets.UTF_8));
  }
}

package io.litefs.daemon.client;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.Function;
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
   * @param candidate whether the node may be primary
   * @param primaryHostname empty if the node knows no other primary
   */
  public record Info(boolean isPrimary, boolean candidate, String primaryHostname) {}

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
      boolean candidate = false;
      String hostname = "";
      for (JsonToken token = json.nextToken(); token != null; token = json.nextToken()) {
        if (token == JsonToken.VALUE_TRUE && "isPrimary".equals(json.currentName())) {
          isPrimary = true;
        } else if (token == JsonToken.VALUE_TRUE && "candidate".equals(json.currentName())) {
          candidate = true;
        } else if (token == JsonToken.VALUE_STRING && "hostname".equals(json.currentName())) {
          hostname = json.getText();
        }
      }
      return new Info(isPrimary, candidate, hostname);
    } catch (JsonProcessingException e) {
      throw new CommandException(
          base + " does not answer as a litefs node: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw lost(e);
    }
  }

  /**
   * What the node answers to a GET, whole.
   *
   * @param accept the media type that is wanted
   */
  public String fetch(String pathAndQuery, String accept)
      throws CommandException, InterruptedException {
    HttpResponse<InputStream> response = get(pathAndQuery, accept);
    try (InputStream body = response.body()) {
      return new String(body.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw lost(e);
    }
  }

  /**
   * Server-sent events, each given to {@code receiver}, until the node ends the stream.
   *
   * @throws CommandException also when the stream breaks
   */
  public void follow(String pathAndQuery, Consumer<String> receiver)
      throws CommandException, InterruptedException {
    HttpResponse<InputStream> response = get(pathAndQuery, "text/event-stream");
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
      StringBuilder event = new StringBuilder();
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("data: ")) {
          event.append(line, "data: ".length(), line.length()).append('\n');
        } else if (line.isEmpty()) {
          receiver.accept(event.toString());
          event.setLength(0);
        }
      }
    } catch (IOException e) {
      throw lost(e);
    }
  }

  private HttpResponse<InputStream> get(String pathAndQuery, String accept)
      throws CommandException, InterruptedException {
    HttpResponse<InputStream> response =
        send(HttpRequest.newBuilder(uri(pathAndQuery)).header("Accept", accept).GET());
    if (response.statusCode() == 404) {
      throw new CommandException(
          base + " has no status: it is no litefs node, or the original LiteFS");
    }
    try {
      expectOk(response.statusCode(), "ask the node at " + base, response.body());
    } catch (IOException e) {
      throw lost(e);
    }
    return response;
  }

  /**
   * Takes the halt lock of a database on a node, until the hold is closed.
   *
   * @param onLoss told why, on another thread, if the lock is lost before
   */
  public Hold hold(String name, Consumer<String> onLoss)
      throws CommandException, InterruptedException {
    HttpResponse<InputStream> response =
        send(
            HttpRequest.newBuilder(named("/litefs/hold", name))
                .POST(HttpRequest.BodyPublishers.noBody()));
    InputStream body = response.body();
    try {
      expectOk(response.statusCode(), "take the halt lock on '" + name + "'", body);
      BufferedReader lines =
          new BufferedReader(new InputStreamReader(body, StandardCharsets.UTF_8));
      String first = lines.readLine();
      if (first == null) {
        throw new CommandException("the node at " + base + " ended its answer; try again");
      }
      Hold hold = new Hold(body, field(first, "id"));
      if (!hold.id.isEmpty()) {
        Thread reader = new Thread(() -> hold.watch(lines, onLoss), "litefs-hold");
        reader.setDaemon(true);
        reader.start();
      }
      return hold;
    } catch (JsonProcessingException e) {
      throw new CommandException(
          base + " does not answer as a litefs node: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw lost(e);
    }
  }

  /** A field of an object on one line, as text; empty if it has none of this name. */
  private static String field(String line, String name) throws IOException {
    try (JsonParser json = new JsonFactory().createParser(line)) {
      for (JsonToken token = json.nextToken(); token != null; token = json.nextToken()) {
        if (token.isScalarValue() && name.equals(json.currentName())) {
          return json.getText();
        }
      }
      return "";
    }
  }

  /** A halt lock that a node holds for this process. */
  public final class Hold implements AutoCloseable {
    private final InputStream body;
    private final String id;
    private volatile boolean closed;

    private Hold(InputStream body, String id) {
      this.body = body;
      this.id = id;
    }

    private void watch(BufferedReader lines, Consumer<String> onLoss) {
      String reason;
      try {
        String line = lines.readLine();
        reason = line == null ? "the node has ended" : field(line, "lost");
      } catch (IOException e) {
        reason = "the connection to the node at " + base + " broke";
      }
      if (!closed) {
        onLoss.accept(reason);
      }
    }

    /** Gives the lock back; returns once that is done, or the node does not answer. */
    @Override
    public void close() throws InterruptedException {
      closed = true;
      try {
        if (!id.isEmpty()) {
          send(HttpRequest.newBuilder(uri("/litefs/hold?id=" + id)).DELETE()).body().close();
        }
      } catch (CommandException e) {
        // The end of the connection gives it back too.
      } catch (IOException e) {
        // The same.
      } finally {
        try {
          body.close();
        } catch (IOException e) {
          // Nothing is read from it any more.
        }
      }
    }
  }

  /**
   * Waits until a database has reached a TXID on the node, and on {@code replicas} of its replicas.
   *
   * @return the node's position, as text
   */
  public String await(String name, String txid, int replicas, Duration timeout)
      throws CommandException, InterruptedException {
    String query =
        "/litefs/wait?db=%s&txid=%s&replicas=%d&timeout=%d"
            .formatted(
                URLEncoder.encode(name, StandardCharsets.UTF_8),
                URLEncoder.encode(txid, StandardCharsets.UTF_8),
                replicas,
                timeout.toMillis());
    HttpResponse<InputStream> response = send(HttpRequest.newBuilder(uri(query)).GET());
    try (InputStream body = response.body()) {
      expectOk(response.statusCode(), "wait for '" + name + "'", body);
      return new String(body.readAllBytes(), StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      throw lost(e);
    }
  }

  /** Asks a node to become primary; returns once it is. */
  public void promote() throws CommandException, InterruptedException {
    HttpResponse<InputStream> response =
        send(
            HttpRequest.newBuilder(uri("/promote")).POST(HttpRequest.BodyPublishers.noBody()),
            e -> inDoubt(e, "promote", "status"));
    try (InputStream body = response.body()) {
      expectOk(response.statusCode(), "promote the node at " + base, body);
    } catch (IOException e) {
      throw inDoubt(e, "promote", "status");
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
        send(
            HttpRequest.newBuilder(named("/import", name)).POST(publisher),
            e -> inDoubt(e, "import", "databases"));
    try (InputStream body = response.body()) {
      expectOk(response.statusCode(), "import '" + name + "'", body);
    } catch (IOException e) {
      throw inDoubt(e, "import", "databases");
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
    if (!export(named("/export", name), name, receiver)) {
      throw new CommandException(
          "cannot export '" + name + "': the node at " + base + " has no such database");
    }
  }

  /**
   * Receives a database, be it damaged or not.
   *
   * @return false if the node has none of this name
   */
  public boolean exportAsItIs(String name, Receiver receiver)
      throws CommandException, InterruptedException {
    return export(URI.create(named("/export", name) + "&damaged=true"), name, receiver);
  }

  private boolean export(URI uri, String name, Receiver receiver)
      throws CommandException, InterruptedException {
    HttpResponse<InputStream> response = send(HttpRequest.newBuilder(uri).GET());
    try (InputStream body = response.body()) {
      if (response.statusCode() == 404) {
        return false;
      }
      expectOk(response.statusCode(), "export '" + name + "'", body);
      receiver.receive(
          body,
          response.headers().firstValue("Litefs-Pos").orElse(""),
          response.headers().firstValueAsLong("Content-Length").orElse(-1));
      return true;
    } catch (IOException e) {
      throw lost(e);
    }
  }

  private HttpResponse<InputStream> send(HttpRequest.Builder request)
      throws CommandException, InterruptedException {
    return send(request, this::lost);
  }

  /**
   * @param onLoss what is to be said if the connection breaks
   */
  private HttpResponse<InputStream> send(
      HttpRequest.Builder request, Function<IOException, CommandException> onLoss)
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
      throw onLoss.apply(e);
    }
  }

  private CommandException lost(IOException e) {
    return broken(e, "nothing was changed, try again");
  }

  /**
   * A request that changes something may have been carried out although its answer did not come.
   */
  private CommandException inDoubt(IOException e, String request, String lookWith) {
    return broken(
        e,
        "whether the %s was carried out is not known: look at 'litefs %s -url %s' before you try again"
            .formatted(request, lookWith, base));
  }

  private CommandException broken(IOException e, String whatNow) {
    String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    return new CommandException(
        "the connection to " + base + " broke: " + reason + "; " + whatNow, e);
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

package io.litefs.it;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A page in a headless Chromium, driven over its DevTools protocol. Everything that the page asks
 * the network for and every error on its console is kept.
 */
public final class Browser implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final long LIMIT_SECONDS = 30;

  private final Process process;
  private final WebSocket socket;
  private final AtomicInteger ids = new AtomicInteger();
  private final AtomicInteger loads = new AtomicInteger();
  private final Map<Integer, CompletableFuture<JsonNode>> answers = new ConcurrentHashMap<>();
  private final List<String> errors = new CopyOnWriteArrayList<>();
  private final List<String> requests = new CopyOnWriteArrayList<>();

  private Browser(Process process, URI page) {
    this.process = process;
    this.socket = HTTP.newWebSocketBuilder().buildAsync(page, new Listener()).join();
    for (String domain : List.of("Page", "Runtime", "Log", "Network", "DOM")) {
      call(domain + ".enable", Map.of());
    }
  }

  /** Starts a browser with an empty page. */
  public static Browser start() {
    try {
      Path home = Commands.workDirectory("chromium");
      Process process =
          new ProcessBuilder(
                  "chromium",
                  "--headless",
                  "--no-sandbox",
                  "--disable-gpu",
                  "--remote-debugging-port=0",
                  "--user-data-dir=" + home,
                  "about:blank")
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      Reaper.process(process.pid());
      Path file = home.resolve("DevToolsActivePort");
      Await.until(
          "chromium listens", () -> Files.exists(file) && Files.readString(file).contains("\n"));
      String port = Files.readString(file).lines().findFirst().orElseThrow();
      return new Browser(process, page(port));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static URI page(String port) throws IOException {
    HttpRequest list =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/json/list")).build();
    try {
      String body = HTTP.send(list, HttpResponse.BodyHandlers.ofString()).body();
      for (JsonNode target : JSON.readTree(body)) {
        if (target.path("type").asText().equals("page")) {
          return URI.create(target.path("webSocketDebuggerUrl").asText());
        }
      }
      throw new AssertionError("chromium has no page: " + body);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /** Sends a command and waits for its result. */
  public JsonNode call(String method, Map<String, ?> parameters) {
    JsonNode answer = answer(method, parameters);
    if (answer.has("error")) {
      throw new AssertionError(method + ": " + answer.path("error"));
    }
    return answer.path("result");
  }

  private JsonNode answer(String method, Map<String, ?> parameters) {
    int id = ids.incrementAndGet();
    CompletableFuture<JsonNode> answer = new CompletableFuture<>();
    answers.put(id, answer);
    ObjectNode message = JSON.createObjectNode().put("id", id).put("method", method);
    message.set("params", JSON.valueToTree(parameters));
    try {
      socket.sendText(message.toString(), true).get(LIMIT_SECONDS, TimeUnit.SECONDS);
      return answer.get(LIMIT_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    } catch (ExecutionException | TimeoutException e) {
      throw new AssertionError(method + " got no answer", e);
    }
  }

  /** Forgets errors and requests, opens {@code url} and waits until the document is there. */
  public void open(String url) {
    navigate("about:blank");
    errors.clear();
    requests.clear();
    navigate(url);
  }

  private void navigate(String url) {
    int before = loads.get();
    call("Page.navigate", Map.of("url", url));
    Await.until(url + " is loaded", () -> loads.get() > before);
  }

  /** The document as the browser has it now; empty while one takes the place of another. */
  public String html() {
    JsonNode root = call("DOM.getDocument", Map.of("depth", 0)).path("root");
    JsonNode html = answer("DOM.getOuterHTML", Map.of("nodeId", root.path("nodeId").asInt()));
    return html.path("result").path("outerHTML").asText();
  }

  /** The value of a JavaScript expression, as text. */
  public String evaluate(String expression) {
    JsonNode result = call("Runtime.evaluate", Map.of("expression", "String(" + expression + ")"));
    if (result.has("exceptionDetails")) {
      throw new AssertionError(expression + ": " + result.path("exceptionDetails"));
    }
    return result.path("result").path("value").asText();
  }

  /** The visible text of the element with this id. */
  public String text(String id) {
    return evaluate("document.getElementById('" + id + "').innerText");
  }

  /** Errors on the console since {@link #open}. */
  public List<String> errors() {
    return List.copyOf(errors);
  }

  /** URLs that were asked for since {@link #open}. */
  public List<String> requests() {
    return List.copyOf(requests);
  }

  private void message(JsonNode message) {
    if (message.has("id")) {
      answers.remove(message.path("id").asInt()).complete(message);
      return;
    }
    JsonNode parameters = message.path("params");
    switch (message.path("method").asText()) {
      case "Network.requestWillBeSent" ->
          requests.add(parameters.path("request").path("url").asText());
      case "Page.loadEventFired" -> loads.incrementAndGet();
      case "Runtime.exceptionThrown" -> errors.add(parameters.toString());
      case "Runtime.consoleAPICalled" -> {
        if (parameters.path("type").asText().equals("error")) {
          errors.add(parameters.toString());
        }
      }
      case "Log.entryAdded" -> {
        if (parameters.path("entry").path("level").asText().equals("error")) {
          errors.add(parameters.toString());
        }
      }
      default -> {
        // Of no interest.
      }
    }
  }

  /** Puts the parts of a message together. */
  private final class Listener implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
      text.append(data);
      if (last) {
        try {
          message(JSON.readTree(text.toString()));
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
        text.setLength(0);
      }
      from.request(1);
      return null;
    }
  }

  @Override
  public void close() {
    socket.abort();
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
    process.onExit().join();
    Reaper.processGone(process.pid());
  }
}

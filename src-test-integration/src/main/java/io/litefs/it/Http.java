package io.litefs.it;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;

/** Calls of a node's HTTP API, over HTTP/1.1 and blocking. */
public final class Http {

  private static final HttpClient CLIENT =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(10))
          .build();

  private final String base;

  Http(String host, int port) {
    this.base = "http://" + host + ":" + port;
  }

  public static String encode(String value) {
    return URLEncoder.encode(value, StandardCharsets.UTF_8).replace("+", "%20");
  }

  public HttpResponse<String> get(String pathAndQuery) {
    return send(
        "GET",
        pathAndQuery,
        HttpRequest.BodyPublishers.noBody(),
        HttpResponse.BodyHandlers.ofString());
  }

  public HttpResponse<String> call(String method, String pathAndQuery) {
    return send(
        method,
        pathAndQuery,
        HttpRequest.BodyPublishers.noBody(),
        HttpResponse.BodyHandlers.ofString());
  }

  public HttpResponse<String> post(String pathAndQuery, Path file) {
    try {
      return send(
          "POST",
          pathAndQuery,
          HttpRequest.BodyPublishers.ofFile(file),
          HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  public HttpResponse<Path> download(String pathAndQuery, Path to) {
    return send(
        "GET",
        pathAndQuery,
        HttpRequest.BodyPublishers.noBody(),
        HttpResponse.BodyHandlers.ofFile(to));
  }

  /** A response that has begun; the caller reads and closes the body. */
  public HttpResponse<InputStream> open(String pathAndQuery) {
    return send(
        "GET",
        pathAndQuery,
        HttpRequest.BodyPublishers.noBody(),
        HttpResponse.BodyHandlers.ofInputStream());
  }

  /** As {@link #open}, for a POST without a body. */
  public HttpResponse<InputStream> openPost(String pathAndQuery) {
    return send(
        "POST",
        pathAndQuery,
        HttpRequest.BodyPublishers.noBody(),
        HttpResponse.BodyHandlers.ofInputStream());
  }

  private <T> HttpResponse<T> send(
      String method,
      String pathAndQuery,
      HttpRequest.BodyPublisher body,
      HttpResponse.BodyHandler<T> handler) {
    try {
      HttpRequest request =
          HttpRequest.newBuilder(URI.create(base + pathAndQuery))
              .timeout(Duration.ofMinutes(2))
              .method(method, body)
              .build();
      return CLIENT.send(request, handler);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(method + " " + base + pathAndQuery, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }
}

package io.litefs.daemon;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.litefs.cluster.Peers;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;

/** Other nodes, over their APIs. */
final class HttpPeers implements Peers {

  /** A node that does not answer within this is not there. */
  private static final Duration STANDING_LIMIT = Duration.ofSeconds(1);

  /**
   * Longer than a handoff may take, which waits for requests to the application, writers, a renewal
   * of the lease, commits, and the replica to have received everything: 11 s in all.
   */
  private static final Duration HANDOFF_LIMIT = Duration.ofSeconds(20);

  private static final int MAX_STANDING_BYTES = 16 << 20;

  private final long nodeId;
  private HttpClient http;

  HttpPeers(long nodeId) {
    this.nodeId = nodeId;
  }

  /** Made when it is needed: it costs a start of the daemon tens of milliseconds. */
  private synchronized HttpClient http() {
    if (http == null) {
      http =
          HttpClient.newBuilder()
              .version(HttpClient.Version.HTTP_1_1)
              .connectTimeout(STANDING_LIMIT)
              .build();
    }
    return http;
  }

  @Override
  public Standing standing(URI node) throws IOException {
    HttpResponse<java.io.InputStream> answer =
        send(
            HttpRequest.newBuilder(URI.create(node + "/litefs/standing"))
                .timeout(STANDING_LIMIT)
                .GET()
                .build(),
            HttpResponse.BodyHandlers.ofInputStream());
    try (var body = answer.body()) {
      if (answer.statusCode() != 200) {
        throw new IOException(node + " answers " + answer.statusCode());
      }
      return parse(body.readNBytes(MAX_STANDING_BYTES));
    }
  }

  private static Standing parse(byte[] json) throws IOException {
    String hostname = "";
    String clusterId = null;
    boolean isPrimary = false;
    boolean candidate = false;
    Map<String, Pos> positions = new TreeMap<>();
    try (JsonParser in = new JsonFactory().createParser(json)) {
      boolean inPositions = false;
      for (JsonToken token = in.nextToken(); token != null; token = in.nextToken()) {
        String name = in.currentName();
        if (token == JsonToken.START_OBJECT) {
          inPositions = "positions".equals(name);
        } else if (token == JsonToken.END_OBJECT) {
          inPositions = false;
        } else if (inPositions && token == JsonToken.VALUE_STRING) {
          positions.put(name, Pos.parse(in.getText()));
        } else if (token.isScalarValue()) {
          switch (name) {
            case "hostname" -> hostname = in.getText();
            case "clusterID" -> clusterId = in.getText();
            case "isPrimary" -> isPrimary = in.getBooleanValue();
            case "candidate" -> candidate = in.getBooleanValue();
            default -> {
              // Of a later version.
            }
          }
        }
      }
    } catch (IllegalArgumentException e) {
      throw new IOException("no position: " + e.getMessage(), e);
    }
    return new Standing(hostname, clusterId, isPrimary, candidate, positions);
  }

  @Override
  public void askForLease(URI primary) throws IOException {
    URI uri = URI.create(primary + "/handoff?nodeID=%016X".formatted(nodeId));
    HttpResponse<String> answer =
        send(
            HttpRequest.newBuilder(uri)
                .timeout(HANDOFF_LIMIT)
                .POST(HttpRequest.BodyPublishers.noBody())
                .build(),
            HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 200) {
      throw new IOException(
          "the primary at " + primary + " does not hand over: " + answer.body().strip());
    }
  }

  private <T> HttpResponse<T> send(HttpRequest request, HttpResponse.BodyHandler<T> handler)
      throws IOException {
    try {
      return http().send(request, handler);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } catch (IOException e) {
      throw new IOException(
          request.uri().getRawAuthority() + " does not answer: " + e.getClass().getSimpleName(), e);
    }
  }
}

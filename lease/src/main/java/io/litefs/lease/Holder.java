package io.litefs.lease;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;

/**
 * The value of the lease's key: {@code {"hostname":"..","advertise-url":"http://.."}}. Holders of
 * this implementation add {@code "ttl-ms"} and {@code "renewal"}, a count: so the value changes
 * with each renewal, and others can see when it stops to.
 *
 * @param ttl empty for a holder that does not count its renewals
 */
record Holder(PrimaryInfo info, Optional<Duration> ttl, long renewal) {

  private static final JsonMapper JSON = new JsonMapper();

  String toJson() {
    ObjectNode json = JSON.createObjectNode();
    json.put("hostname", info.hostname());
    json.put("advertise-url", info.advertiseUrl().toString());
    ttl.ifPresent(t -> json.put("ttl-ms", t.toMillis()).put("renewal", renewal));
    return json.toString();
  }

  /** Empty if the value is not that of a lease. */
  static Optional<Holder> parse(String value) {
    try {
      JsonNode json = JSON.readTree(value);
      String hostname = json.path("hostname").asText();
      URI url = URI.create(json.path("advertise-url").asText());
      if (hostname.isEmpty() || url.getHost() == null) {
        return Optional.empty();
      }
      long ttl = json.path("ttl-ms").asLong();
      return Optional.of(
          new Holder(
              new PrimaryInfo(hostname, url),
              ttl > 0 ? Optional.of(Duration.ofMillis(ttl)) : Optional.empty(),
              json.path("renewal").asLong()));
    } catch (JsonProcessingException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}

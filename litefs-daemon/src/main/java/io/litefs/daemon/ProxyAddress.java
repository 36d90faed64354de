package io.litefs.daemon;

import io.litefs.proxy.Endpoint;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the proxy of a primary is. A primary with a proxy says so in the header {@value #HEADER} of
 * every answer of its API. One that says nothing (the original, or one without a proxy) is taken to
 * have it on the same port as the node that asks.
 */
final class ProxyAddress {

  static final String HEADER = "Litefs-Proxy-Url";

  private static final Logger log = LoggerFactory.getLogger(ProxyAddress.class);
  private static final int TIMEOUT_MILLIS = 3000;

  private ProxyAddress() {}

  /** {@code port} on the host of an API. */
  static URI onPort(URI api, int port) {
    return URI.create("http://" + api.getHost() + ":" + port);
  }

  /**
   * Asks the primary whose API is at {@code api}; blocks, some seconds at most.
   *
   * @param ownPort of the proxy of this node
   */
  static URI ask(URI api, int ownPort) {
    URI assumed = onPort(api, ownPort);
    try {
      String told = header(api);
      if (told != null) {
        URI proxy = URI.create(told);
        Endpoint.of(proxy); // or it cannot be used
        log.info("writes go to the primary's proxy at {}", proxy);
        return proxy;
      }
      log.info("the primary at {} does not say where its proxy is; writes go to {}", api, assumed);
    } catch (IOException | IllegalArgumentException e) {
      log.warn(
          "cannot learn from {} where the primary's proxy is: {}; writes go to {}",
          api,
          e.getMessage(),
          assumed);
    }
    return assumed;
  }

  private static String header(URI api) throws IOException {
    HttpURLConnection connection =
        (HttpURLConnection) URI.create(api + "/info").toURL().openConnection();
    try {
      connection.setConnectTimeout(TIMEOUT_MILLIS);
      connection.setReadTimeout(TIMEOUT_MILLIS);
      connection.setRequestMethod("HEAD");
      connection.getResponseCode(); // fails if there is no answer, which a header does not
      return connection.getHeaderField(HEADER);
    } finally {
      connection.disconnect();
    }
  }
}

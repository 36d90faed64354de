package io.litefs.proxy;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.security.SecureRandom;
import java.util.List;

/**
 * This proxy as one of those that a request passes: its pseudonym in the {@code Via} field (RFC
 * 9110, section 7.6.3). A request that meets its own pseudonym again has gone round in a circle.
 */
final class Hop {

  /** Proxies of ours that a request may pass: more are a circle that nobody noticed. */
  static final int MAX = 6;

  private static final String PREFIX = "litefs-";

  private final String pseudonym = String.format("%s%016x", PREFIX, new SecureRandom().nextLong());

  /** This hop's entry. */
  String via() {
    return "1.1 " + pseudonym;
  }

  /** Whether the request has been here before. */
  boolean isIn(HttpHeaders headers) {
    for (String via : vias(headers)) {
      if (via.contains(pseudonym)) {
        return true;
      }
    }
    return false;
  }

  /** How many proxies of our kind the request has passed. */
  static int count(HttpHeaders headers) {
    int count = 0;
    for (String via : vias(headers)) {
      for (int at = via.indexOf(PREFIX); at >= 0; at = via.indexOf(PREFIX, at + 1)) {
        count++;
      }
    }
    return count;
  }

  private static List<String> vias(HttpHeaders headers) {
    return headers.getAll(HttpHeaderNames.VIA);
  }
}

package io.litefs.proxy;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.util.AsciiString;
import java.util.ArrayList;
import java.util.List;

/** Header fields that concern one connection only (RFC 9110, section 7.6.1). */
final class HopByHop {

  private HopByHop() {}

  /**
   * Whether a field is not copied from one side to the other: hop-by-hop, or part of the framing,
   * which each side gets anew.
   */
  static boolean mayNotPass(CharSequence name) {
    // The length tells most fields apart without a comparison.
    return switch (name.length()) {
      case 2 -> is(name, "te");
      case 7 -> is(name, "upgrade");
      case 10 -> is(name, "connection") || is(name, "keep-alive");
      case 14 -> is(name, "content-length") || is(name, "http2-settings");
      case 16 -> is(name, "proxy-connection");
      case 17 -> is(name, "transfer-encoding");
      case 18 -> is(name, "proxy-authenticate");
      case 19 -> is(name, "proxy-authorization");
      default -> false;
    };
  }

  /**
   * Further fields that this message's sender has declared to be hop-by-hop, in the {@code
   * Connection} field; in lower case, mostly none.
   */
  static List<String> named(HttpHeaders headers) {
    List<String> named = null;
    for (String value : headers.getAll(HttpHeaderNames.CONNECTION)) {
      for (String token : value.split(",")) {
        String name = token.strip();
        if (!name.isEmpty()
            && !is(name, "close")
            && !is(name, "keep-alive")
            && !is(name, "upgrade")
            && !mayNotPass(name)) {
          named = named == null ? new ArrayList<>() : named;
          named.add(name);
        }
      }
    }
    return named == null ? List.of() : named;
  }

  static boolean contains(List<String> named, CharSequence name) {
    for (int i = 0; i < named.size(); i++) {
      if (is(name, named.get(i))) {
        return true;
      }
    }
    return false;
  }

  static boolean is(CharSequence name, CharSequence other) {
    return AsciiString.contentEqualsIgnoreCase(name, other);
  }
}

package io.litefs.proxy;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.util.AsciiString;
import java.net.InetSocketAddress;
import java.util.List;

/**
 * What the application is told of the way that a request came: {@code X-Forwarded-For}, {@code
 * -Proto} and {@code -Host}, {@code Forwarded} (RFC 7239), {@code Via}.
 *
 * <p>The address of whoever connected is appended to the lists. {@code -Proto} and {@code -Host}
 * stay if they are there: whoever terminates TLS in front of the proxy knows better. {@code
 * Forwarded} is appended to if it is there, and begun only where no {@code X-Forwarded-*} is:
 * beside those of a proxy in front that does not speak RFC 7239 it would contradict them.
 */
final class Forwarded {

  private static final AsciiString FOR = AsciiString.cached("X-Forwarded-For");
  private static final AsciiString PROTO = AsciiString.cached("X-Forwarded-Proto");
  private static final AsciiString HOST = AsciiString.cached("X-Forwarded-Host");
  private static final AsciiString FORWARDED = AsciiString.cached("Forwarded");

  private Forwarded() {}

  /** Whether {@link #append} writes this field, so that it is not to be copied. */
  static boolean writes(CharSequence name) {
    return switch (name.length()) {
      case 3 -> HopByHop.is(name, HttpHeaderNames.VIA);
      case 9 -> HopByHop.is(name, FORWARDED);
      case 15 -> HopByHop.is(name, FOR);
      default -> false;
    };
  }

  /**
   * @param dropped fields that the client declared to be hop-by-hop
   */
  static void append(
      ByteBuf out, RequestHead request, List<String> dropped, InetSocketAddress client, Hop hop) {
    HttpHeaders headers = request.headers();
    String address = client.getAddress().getHostAddress();
    int zone = address.indexOf('%');
    address = zone < 0 ? address : address.substring(0, zone);

    List<String> addresses = kept(headers, FOR, dropped);
    boolean proto = !kept(headers, PROTO, dropped).isEmpty();
    boolean host = !kept(headers, HOST, dropped).isEmpty();
    list(out, FOR, addresses, address);
    if (!proto) {
      Head.field(out, PROTO, "http");
    }
    if (!host && !request.host().isEmpty()) {
      Head.field(out, HOST, request.host());
    }
    List<String> forwarded = kept(headers, FORWARDED, dropped);
    if (!forwarded.isEmpty() || (addresses.isEmpty() && !proto && !host)) {
      list(out, FORWARDED, forwarded, element(address, request.host()));
    }
    list(out, HttpHeaderNames.VIA, headers.getAll(HttpHeaderNames.VIA), hop.via());
  }

  private static List<String> kept(HttpHeaders headers, AsciiString name, List<String> dropped) {
    return HopByHop.contains(dropped, name) ? List.of() : headers.getAll(name);
  }

  private static void list(ByteBuf out, CharSequence name, List<String> before, String own) {
    Head.ascii(out, name);
    out.writeShort(':' << 8 | ' ');
    for (String value : before) {
      Head.ascii(out, value);
      out.writeShort(',' << 8 | ' ');
    }
    Head.ascii(out, own);
    out.writeShort('\r' << 8 | '\n');
  }

  private static String element(String address, String host) {
    StringBuilder element = new StringBuilder(64);
    if (address.indexOf(':') >= 0) {
      element.append("for=\"[").append(address).append("]\"");
    } else {
      element.append("for=").append(address);
    }
    if (!host.isEmpty()) {
      // Quoted: a port brings a colon. A host that came this far has no quote in it.
      element.append(";host=\"").append(host).append('"');
    }
    return element.append(";proto=http").toString();
  }
}

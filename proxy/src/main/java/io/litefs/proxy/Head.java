package io.litefs.proxy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufUtil;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import java.net.InetSocketAddress;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/**
 * Heads as they go out, as bytes. All but the hop-by-hop fields are copied as they came, in their
 * order and spelling; bytes above ASCII too, which came in as chars of the same value.
 */
final class Head {

  private static final int SHORT = 512;
  private static final int CRLF = '\r' << 8 | '\n';

  private Head() {}

  /**
   * The request as it goes to the application or to the primary.
   *
   * @param client who sent it to us
   */
  static ByteBuf request(
      ByteBufAllocator alloc, RequestHead request, InetSocketAddress client, Hop hop) {
    HttpHeaders headers = request.headers();
    List<String> dropped = HopByHop.named(headers);
    ByteBuf out = alloc.buffer(SHORT);
    ascii(out, request.method());
    out.writeByte(' ');
    ascii(out, request.target());
    ascii(out, " HTTP/1.1\r\n");
    field(out, "Host", request.host());
    Iterator<Map.Entry<CharSequence, CharSequence>> all = headers.iteratorCharSequence();
    while (all.hasNext()) {
      Map.Entry<CharSequence, CharSequence> entry = all.next();
      CharSequence name = entry.getKey();
      if (!HopByHop.mayNotPass(name)
          && !HopByHop.contains(dropped, name)
          && !Forwarded.writes(name)
          && !HopByHop.is(name, HttpHeaderNames.HOST)
          && !(HopByHop.is(name, HttpHeaderNames.EXPECT) && !request.expectsContinue())) {
        field(out, name, entry.getValue());
      }
    }
    if (request.framing() == Framing.CHUNKED) {
      ascii(out, "Transfer-Encoding: chunked\r\n");
    } else if (request.framing() == Framing.LENGTH) {
      field(out, "Content-Length", Long.toString(request.contentLength()));
    }
    if (request.upgrade() != null) {
      field(out, "Upgrade", request.upgrade());
      ascii(out, "Connection: Upgrade\r\n");
    } else if (headers.containsValue(HttpHeaderNames.TE, "trailers", true)) {
      ascii(out, "TE: trailers\r\nConnection: TE\r\n");
    }
    Forwarded.append(out, request, dropped, client, hop);
    return out.writeShort(CRLF);
  }

  /**
   * The answer as it goes to the client.
   *
   * @param framing of its body towards the client
   * @param contentLength if the body's length is known, be there a body or not; else -1
   * @param connection value of the Connection field; null for none
   * @param extra further whole fields
   */
  static ByteBuf response(
      ByteBufAllocator alloc,
      HttpResponse response,
      Framing framing,
      String contentLength,
      String connection,
      String extra) {
    HttpHeaders headers = response.headers();
    List<String> dropped = HopByHop.named(headers);
    ByteBuf out = alloc.buffer(SHORT);
    ascii(out, "HTTP/1.1 ");
    ascii(out, Integer.toString(response.status().code()));
    out.writeByte(' ');
    ascii(out, response.status().reasonPhrase());
    out.writeShort(CRLF);
    Iterator<Map.Entry<CharSequence, CharSequence>> all = headers.iteratorCharSequence();
    while (all.hasNext()) {
      Map.Entry<CharSequence, CharSequence> entry = all.next();
      if (!HopByHop.mayNotPass(entry.getKey()) && !HopByHop.contains(dropped, entry.getKey())) {
        field(out, entry.getKey(), entry.getValue());
      }
    }
    if (contentLength != null) {
      field(out, "Content-Length", contentLength);
    } else if (framing == Framing.CHUNKED) {
      ascii(out, "Transfer-Encoding: chunked\r\n");
    }
    if (connection != null) {
      field(out, "Connection", connection);
    }
    ascii(out, extra);
    return out.writeShort(CRLF);
  }

  /** One field and its line end. */
  static void field(ByteBuf out, CharSequence name, CharSequence value) {
    ascii(out, name);
    out.writeShort(':' << 8 | ' ');
    ascii(out, value);
    out.writeShort(CRLF);
  }

  /** One byte per char; what came from a decoder of ours has no char above 255. */
  static void ascii(ByteBuf out, CharSequence text) {
    ByteBufUtil.writeAscii(out, text);
  }
}

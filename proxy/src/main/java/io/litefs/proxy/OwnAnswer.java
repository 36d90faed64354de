package io.litefs.proxy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.codec.http.HttpResponseStatus;

/** Answers that the proxy gives itself: one line of text. */
final class OwnAnswer {

  private OwnAnswer() {}

  /**
   * @param text without its line end; printable ASCII, as is all that the proxy says
   * @param extra further whole fields
   */
  static ByteBuf of(
      ByteBufAllocator alloc,
      HttpResponseStatus status,
      String text,
      String extra,
      boolean withoutBody) {
    ByteBuf out = alloc.buffer();
    Head.ascii(out, "HTTP/1.1 " + status.code() + " " + status.reasonPhrase() + "\r\n");
    Head.field(out, "Content-Type", "text/plain; charset=utf-8");
    Head.field(out, "Content-Length", Integer.toString(text.length() + 1));
    Head.field(out, "Cache-Control", "no-store");
    Head.ascii(out, extra);
    Head.ascii(out, "\r\n");
    if (!withoutBody) {
      Head.ascii(out, text);
      out.writeByte('\n');
    }
    return out;
  }
}

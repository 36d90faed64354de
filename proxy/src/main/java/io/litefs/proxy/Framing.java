package io.litefs.proxy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.channel.Channel;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.LastHttpContent;
import java.util.Map;

/** How the end of a body is known to who reads it (RFC 9112, section 6). */
enum Framing {
  /** There is no body. */
  NONE,
  /** By a Content-Length. */
  LENGTH,
  /** By the last chunk; may have trailers. */
  CHUNKED,
  /** By the end of the connection. */
  CLOSE;

  private static final ByteBuf CRLF = Buffers.constant("\r\n");
  private static final ByteBuf END = Buffers.constant("0\r\n\r\n");

  /** Writes a piece of a body, which is released; does not flush. */
  void write(Channel channel, HttpContent piece) {
    if (this == NONE) {
      piece.release();
      return;
    }
    ByteBuf data = piece.content();
    int length = data.readableBytes();
    if (length == 0) {
      data.release();
    } else if (this == CHUNKED) {
      ByteBuf size = channel.alloc().buffer(10);
      writeHex(size, length);
      size.writeShort('\r' << 8 | '\n');
      channel.write(size);
      channel.write(data);
      channel.write(CRLF.duplicate());
    } else {
      channel.write(data);
    }
    if (this == CHUNKED && piece instanceof LastHttpContent last) {
      channel.write(
          last.trailingHeaders().isEmpty() ? END.duplicate() : endWithTrailers(channel, last));
    }
  }

  private static void writeHex(ByteBuf to, int value) {
    int shift = (31 - Integer.numberOfLeadingZeros(value)) & ~3;
    for (; shift >= 0; shift -= 4) {
      to.writeByte(Character.forDigit(value >>> shift & 15, 16));
    }
  }

  private static ByteBuf endWithTrailers(Channel channel, LastHttpContent last) {
    ByteBuf end = channel.alloc().buffer();
    ByteBufUtil.writeAscii(end, "0\r\n");
    for (Map.Entry<String, String> trailer : last.trailingHeaders()) {
      if (!HopByHop.mayNotPass(trailer.getKey())) {
        Head.field(end, trailer.getKey(), trailer.getValue());
      }
    }
    return end.writeShort('\r' << 8 | '\n');
  }
}

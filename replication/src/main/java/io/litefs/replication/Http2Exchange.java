package io.litefs.replication;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.DateFormatter;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.DefaultHttp2ResetFrame;
import io.netty.handler.codec.http2.DefaultHttp2WindowUpdateFrame;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.handler.codec.http2.Http2StreamChannel;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.time.Duration;
import java.util.Date;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * An exchange that is one stream of an HTTP/2 connection. The window of the stream is as large as
 * the ring that takes the body, and is given back only as the handler reads, so a client can never
 * send more than there is room for.
 */
final class Http2Exchange extends ServerExchange {
  private final Http2StreamChannel stream;
  private final Http2Headers headers;
  // Event loop only.
  private boolean received;

  private Http2Exchange(Http2StreamChannel stream, Http2Headers headers, ApiServerOptions options) {
    super(
        stream.parent(),
        headers.method().toString(),
        headers.path().toString(),
        new BodyInput(ApiServerOptions.BODY_WINDOW, taken -> giveBack(stream, taken)),
        Duration.ZERO);
    this.stream = stream;
    this.headers = headers;
    body.setTimeout(options.bodyTimeout());
  }

  private static void giveBack(Http2StreamChannel stream, int bytes) {
    stream.writeAndFlush(new DefaultHttp2WindowUpdateFrame(bytes));
  }

  @Override
  public boolean isHttp2() {
    return true;
  }

  @Override
  public Optional<String> header(String name) {
    String lower = name.toLowerCase(Locale.ROOT);
    CharSequence value = headers.get(lower);
    if (value == null && lower.equals("host")) {
      value = headers.authority();
    }
    return Optional.ofNullable(value).map(CharSequence::toString);
  }

  @Override
  void sendHead(int status, Map<String, String> fields, long length, boolean end) {
    Http2Headers head = new DefaultHttp2Headers().status(Integer.toString(status));
    fields.forEach((name, value) -> head.set(name.toLowerCase(Locale.ROOT), value));
    head.set("date", DateFormatter.format(new Date()));
    if (length >= 0) {
      head.set("content-length", Long.toString(length));
    }
    ChannelFuture sent = stream.writeAndFlush(new DefaultHttp2HeadersFrame(head, end));
    if (end) {
      finishWhen(sent);
    }
  }

  @Override
  public ChannelFuture send(ByteBuf data) {
    return stream.writeAndFlush(new DefaultHttp2DataFrame(data));
  }

  @Override
  public ChannelFuture sendLast(ByteBuf data) {
    return finishWhen(stream.writeAndFlush(new DefaultHttp2DataFrame(orEmpty(data), true)));
  }

  private ChannelFuture finishWhen(ChannelFuture sent) {
    return sent.addListener(
        done -> {
          if (!done.isSuccess()) {
            peerGone();
            return;
          }
          complete();
          if (!received && stream.isActive()) {
            // RFC 9113, 8.1: answered already, the rest of the request is not wanted.
            stream.writeAndFlush(new DefaultHttp2ResetFrame(Http2Error.NO_ERROR));
          }
        });
  }

  @Override
  void sendAbort() {
    stream.writeAndFlush(new DefaultHttp2ResetFrame(Http2Error.INTERNAL_ERROR));
  }

  /** Handler of a stream's channel: makes the exchange and feeds it. */
  static final class Feeder extends ChannelInboundHandlerAdapter {
    private final Dispatcher dispatcher;
    private final ApiServerOptions options;
    private Http2Exchange exchange;

    Feeder(Dispatcher dispatcher, ApiServerOptions options) {
      this.dispatcher = dispatcher;
      this.options = options;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) throws IOException {
      try {
        if (message instanceof Http2HeadersFrame head) {
          headers(ctx, head);
        } else if (message instanceof Http2DataFrame data) {
          data(ctx, data);
        }
      } finally {
        ReferenceCountUtil.release(message);
      }
    }

    private void headers(ChannelHandlerContext ctx, Http2HeadersFrame frame) {
      boolean trailers = exchange != null;
      if (!trailers) {
        Http2Headers fields = frame.headers();
        if (fields.method() == null || fields.path() == null) {
          ctx.writeAndFlush(new DefaultHttp2ResetFrame(Http2Error.PROTOCOL_ERROR));
          return;
        }
        exchange = new Http2Exchange((Http2StreamChannel) ctx.channel(), fields, options);
        if ("100-continue".equalsIgnoreCase(exchange.header("expect").orElse(""))) {
          exchange.body.beforeFirstWait(
              () ->
                  ctx.channel()
                      .writeAndFlush(
                          new DefaultHttp2HeadersFrame(new DefaultHttp2Headers().status("100"))));
        }
      }
      if (frame.isEndStream()) {
        exchange.received = true;
        exchange.body.finish();
      }
      if (!trailers) {
        dispatcher.dispatch(exchange);
      }
    }

    private void data(ChannelHandlerContext ctx, Http2DataFrame frame) throws IOException {
      if (exchange == null) {
        return;
      }
      int padding = frame.initialFlowControlledBytes() - frame.content().readableBytes();
      exchange.body.offer(frame.content());
      if (padding > 0) {
        giveBack((Http2StreamChannel) ctx.channel(), padding);
      }
      if (frame.isEndStream()) {
        exchange.received = true;
        exchange.body.finish();
      }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      if (exchange != null) {
        exchange.peerGone();
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      ConnectionErrors.close(ctx, cause);
    }
  }
}

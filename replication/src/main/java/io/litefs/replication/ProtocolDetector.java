package io.litefs.replication;

import io.netty.buffer.ByteBuf;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelPipeline;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http2.DefaultHttp2WindowUpdateFrame;
import io.netty.handler.codec.http2.Http2FrameCodec;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.handler.codec.http2.Http2StreamChannelOption;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Tells HTTP/2 with prior knowledge from HTTP/1 by the first bytes of a connection: no HTTP/1
 * method begins as the HTTP/2 preface does.
 */
final class ProtocolDetector extends ByteToMessageDecoder {
  private static final byte[] PREFACE =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
  private static final int DEFAULT_CONNECTION_WINDOW = 65535;

  private final Dispatcher dispatcher;
  private final ApiServerOptions options;
  private Future<?> timer;

  ProtocolDetector(Dispatcher dispatcher, ApiServerOptions options) {
    this.dispatcher = dispatcher;
    this.options = options;
  }

  @Override
  public void channelActive(ChannelHandlerContext ctx) throws Exception {
    long nanos = options.headerTimeout().toNanos();
    timer = ctx.executor().schedule(() -> ctx.close(), nanos, TimeUnit.NANOSECONDS);
    super.channelActive(ctx);
    ctx.read();
  }

  @Override
  protected void decode(ChannelHandlerContext ctx, ByteBuf in, List<Object> out) {
    int length = Math.min(in.readableBytes(), PREFACE.length);
    boolean http2 = true;
    for (int i = 0; i < length && http2; i++) {
      http2 = in.getByte(in.readerIndex() + i) == PREFACE[i];
    }
    if (http2 && length < PREFACE.length) {
      return;
    }
    timer.cancel(false);
    if (http2) {
      addHttp2(ctx.pipeline());
      ctx.pipeline().remove(this);
      ctx.channel().config().setAutoRead(true);
    } else {
      // One socket read at a time, so that a body that nobody reads stays in the socket.
      ctx.channel()
          .config()
          .setRecvByteBufAllocator(new AdaptiveRecvByteBufAllocator().maxMessagesPerRead(1));
      addHttp1(ctx.pipeline());
      ctx.pipeline().remove(this);
    }
  }

  @Override
  protected void handlerRemoved0(ChannelHandlerContext ctx) {
    timer.cancel(false);
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    ConnectionErrors.close(ctx, cause);
  }

  private void addHttp1(ChannelPipeline pipeline) {
    pipeline.addLast(
        new HttpServerCodec(
            new HttpDecoderConfig()
                .setMaxInitialLineLength(ApiServerOptions.MAX_REQUEST_LINE)
                .setMaxHeaderSize(ApiServerOptions.MAX_HEADERS)),
        new Http1Connection(dispatcher, options));
  }

  private void addHttp2(ChannelPipeline pipeline) {
    Http2FrameCodec codec =
        Http2FrameCodecBuilder.forServer()
            .initialSettings(
                Http2Settings.defaultSettings()
                    .maxConcurrentStreams(ApiServerOptions.MAX_STREAMS_PER_CONNECTION)
                    .initialWindowSize(ApiServerOptions.BODY_WINDOW)
                    .maxHeaderListSize(ApiServerOptions.MAX_HEADERS))
            // Who closes a connection has waited for its streams, or knows that they are dead.
            .gracefulShutdownTimeoutMillis(0)
            .build();
    ChannelInitializer<Channel> perStream =
        new ChannelInitializer<>() {
          @Override
          protected void initChannel(Channel stream) {
            stream.config().setOption(Http2StreamChannelOption.AUTO_STREAM_FLOW_CONTROL, false);
            stream.pipeline().addLast(new Http2Exchange.Feeder(dispatcher, options));
          }
        };
    pipeline.addLast(
        codec,
        new Http2Liveness(options.pingInterval()),
        new Http2MultiplexHandler(perStream),
        new ConnectionTail());
    pipeline
        .context(codec)
        .channel()
        .writeAndFlush(
            new DefaultHttp2WindowUpdateFrame(
                ApiServerOptions.CONNECTION_WINDOW - DEFAULT_CONNECTION_WINDOW));
  }

  /**
   * What concerns the connection as a whole: frames of no stream are of no interest here, and what
   * goes wrong ends it, which the streams then learn.
   */
  private static final class ConnectionTail extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext ctx, Object frame) {
      ReferenceCountUtil.release(frame);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      ConnectionErrors.close(ctx, cause);
    }
  }
}

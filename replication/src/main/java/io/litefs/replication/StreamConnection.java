package io.litefs.replication;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.DefaultHttp2WindowUpdateFrame;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2GoAwayFrame;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2ResetFrame;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.handler.codec.http2.Http2StreamChannel;
import io.netty.handler.codec.http2.Http2StreamChannelBootstrap;
import io.netty.handler.codec.http2.Http2StreamChannelOption;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import java.io.Closeable;
import java.io.IOException;
import java.net.URI;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * One HTTP/2 connection (prior knowledge, no TLS) with one request on it, whose answer is read by
 * one thread. The stream's window is the size of the ring that takes the answer, and opens again
 * only as that thread reads.
 */
final class StreamConnection implements Closeable {
  private static final int DEFAULT_WINDOW = 65535;

  /** Largest DATA frame asked for: fewer, larger frames than the default of 16 KiB. */
  private static final int MAX_FRAME = 64 * 1024;

  private static final int DEFAULT_PORT = 80;
  private static final int SUCCESS = 200;
  private static final long CLOSE_MILLIS = 1000;

  private final String peer;
  private final Channel channel;
  private final BodyInput body;
  private final Duration timeout;
  private final CompletableFuture<Http2Headers> answer = new CompletableFuture<>();
  private volatile Http2StreamChannel stream;

  /** The reason for a failure that the channel's end alone does not tell. */
  private volatile IOException reason;

  /**
   * Connects.
   *
   * @param window bytes of the answer that are taken in ahead of the reader
   * @param timeout for connecting and for the answer's header
   * @throws IOException with one line that names the peer
   */
  StreamConnection(EventLoopGroup loop, URI uri, int window, Duration timeout) throws IOException {
    this.peer = uri.getRawAuthority();
    this.timeout = timeout;
    this.body = new BodyInput(window, this::giveBack);
    int port = uri.getPort() < 0 ? DEFAULT_PORT : uri.getPort();
    Bootstrap bootstrap =
        new Bootstrap()
            .group(loop)
            .channel(NioSocketChannel.class)
            .option(ChannelOption.ALLOCATOR, Buffers.ALLOCATOR)
            .option(ChannelOption.TCP_NODELAY, true)
            .option(ChannelOption.SO_KEEPALIVE, true)
            .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) timeout.toMillis())
            .handler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel connection) {
                    init(connection, window);
                  }
                });
    ChannelFuture connected = bootstrap.connect(host(uri), port);
    try {
      connected.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      connected.channel().close();
      throw new PeerGoneException("interrupted while connecting to " + peer, e);
    }
    if (!connected.isSuccess()) {
      throw new IOException(
          "cannot connect to "
              + peer
              + ": "
              + text(connected.cause())
              + " (if it runs, its lease.advertise-url must lead to it from here)");
    }
    channel = connected.channel();
  }

  private static String host(URI uri) {
    String host = uri.getHost();
    return host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
  }

  /** The message without the address, which Netty appends, and without line breaks. */
  private static String text(Throwable cause) {
    if (cause instanceof UnknownHostException) {
      return "unknown host";
    }
    String message = cause.getMessage() == null ? cause.toString() : cause.getMessage();
    int address = message.indexOf(": /");
    return (address > 0 ? message.substring(0, address) : message).replace('\n', ' ');
  }

  private void init(Channel connection, int window) {
    Http2Settings settings =
        Http2Settings.defaultSettings()
            .pushEnabled(false)
            .initialWindowSize(window)
            .maxFrameSize(MAX_FRAME)
            .maxHeaderListSize(ApiServerOptions.MAX_HEADERS);
    connection
        .pipeline()
        .addLast(
            Http2FrameCodecBuilder.forClient()
                .initialSettings(settings)
                .gracefulShutdownTimeoutMillis(0) // A closed stream is not waited for.
                .build(),
            new Http2MultiplexHandler(new ChannelInboundHandlerAdapter()),
            new ConnectionWatch(window));
  }

  private void giveBack(int bytes) {
    Http2StreamChannel open = stream;
    if (open != null) {
      open.writeAndFlush(new DefaultHttp2WindowUpdateFrame(bytes));
    }
  }

  /**
   * Sends a POST and waits for the header of the answer.
   *
   * @return its status and fields; names are lower-case
   */
  Http2Headers post(String pathAndQuery, Map<String, String> fields, byte[] content)
      throws IOException {
    return post(pathAndQuery, fields, content, false);
  }

  /** As the other, but the request's body goes on with {@link #send}, until {@link #endRequest}. */
  Http2Headers postOpen(String pathAndQuery, Map<String, String> fields, byte[] beginning)
      throws IOException {
    return post(pathAndQuery, fields, beginning, true);
  }

  private Http2Headers post(
      String pathAndQuery, Map<String, String> fields, byte[] content, boolean more)
      throws IOException {
    Http2Headers head =
        new DefaultHttp2Headers().method("POST").scheme("http").authority(peer).path(pathAndQuery);
    fields.forEach(head::set);
    Future<Http2StreamChannel> opened =
        new Http2StreamChannelBootstrap(channel)
            .option(Http2StreamChannelOption.AUTO_STREAM_FLOW_CONTROL, false)
            .handler(new AnswerHandler())
            .open();
    opened.addListener(
        done -> {
          if (done.isSuccess()) {
            stream = opened.getNow();
            stream.write(new DefaultHttp2HeadersFrame(head));
            stream.writeAndFlush(new DefaultHttp2DataFrame(Unpooled.wrappedBuffer(content), !more));
          } else {
            lost("cannot open a stream: " + text(done.cause()));
          }
        });
    try {
      return answer.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      throw new IOException(e.getCause().getMessage(), e.getCause());
    } catch (TimeoutException e) {
      throw new IOException(peer + " does not answer", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new PeerGoneException("interrupted while waiting for " + peer, e);
    }
  }

  BodyInput body() {
    return body;
  }

  /**
   * Sends more of the request's body. Any thread; does not block.
   *
   * @param sent run on the event loop once it is on its way: the peer may be slow to take it
   */
  void send(byte[] content, Runnable sent) {
    stream
        .writeAndFlush(new DefaultHttp2DataFrame(Unpooled.wrappedBuffer(content), false))
        .addListener(
            done -> {
              if (done.isSuccess()) {
                sent.run();
              }
            });
  }

  /** The request's body is complete. */
  void endRequest() {
    stream.writeAndFlush(new DefaultHttp2DataFrame(true));
  }

  private void lost(String what) {
    IOException cause = reason != null ? reason : new IOException(what);
    answer.completeExceptionally(cause);
    body.fail(cause);
  }

  /** Cuts the connection; a reader that waits fails at once. Any thread. */
  @Override
  public void close() {
    IOException cause = new PeerGoneException("closed by this node");
    answer.completeExceptionally(cause);
    body.abort(cause);
    // Waited for: an event loop that is shut down before that leaves the socket open.
    channel.close().awaitUninterruptibly(CLOSE_MILLIS);
  }

  /** Takes the answer. */
  private final class AnswerHandler extends ChannelInboundHandlerAdapter {

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) throws IOException {
      try {
        if (message instanceof Http2HeadersFrame head) {
          if (status(head.headers()) >= 200) { // Not an interim answer, such as 100.
            answer.complete(head.headers());
          }
          if (head.isEndStream()) {
            body.finish();
          }
        } else if (message instanceof Http2DataFrame data) {
          int padding = data.initialFlowControlledBytes() - data.content().readableBytes();
          body.offer(data.content());
          if (padding > 0) {
            giveBack(padding);
          }
          if (data.isEndStream()) {
            body.finish();
          }
        }
      } finally {
        ReferenceCountUtil.release(message);
      }
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
      if (event instanceof Http2ResetFrame) {
        lost(peer + " broke the stream off");
      }
      ReferenceCountUtil.release(event);
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      lost("connection to " + peer + " is lost");
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      lost("stream from " + peer + " failed: " + text(cause));
      ctx.close();
    }
  }

  /** Finds out why a connection as a whole fails. Last in its pipeline. */
  private final class ConnectionWatch extends ChannelInboundHandlerAdapter {
    private final int window;

    ConnectionWatch(int window) {
      this.window = window;
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
      if (window > DEFAULT_WINDOW) {
        // The connection's own window; the settings are about those of streams only.
        ctx.channel().writeAndFlush(new DefaultHttp2WindowUpdateFrame(window - DEFAULT_WINDOW));
      }
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      if (message instanceof Http2GoAwayFrame goAway && goAway.errorCode() != 0) {
        reason =
            new IOException(peer + " refuses the connection, HTTP/2 error " + goAway.errorCode());
      }
      ReferenceCountUtil.release(message);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      reason =
          cause instanceof Http2Exception && !answer.isDone()
              ? new IOException(peer + " does not speak HTTP/2")
              : new IOException("connection to " + peer + " failed: " + text(cause));
      ctx.close();
    }
  }

  static boolean isSuccess(Http2Headers head) {
    return status(head) == SUCCESS;
  }

  static int status(Http2Headers head) {
    try {
      return Integer.parseInt(String.valueOf(head.status()));
    } catch (NumberFormatException e) {
      return 0;
    }
  }
}

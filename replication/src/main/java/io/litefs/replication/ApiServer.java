package io.litefs.replication;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http2.DefaultHttp2GoAwayFrame;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2FrameCodec;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.Closeable;
import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * The HTTP server of a node: HTTP/1.1, and HTTP/2 without TLS by prior knowledge, on one port. Each
 * request runs on a worker thread of its own ({@code litefs-api-worker-N}) that may block; the
 * event loops ({@code litefs-api-N}) never do.
 *
 * <p>A path without a route is answered 404, a known path with another method 405 (HEAD goes to the
 * handler of GET). Errors are {@code text/plain}, one line. The common headers are on every answer
 * but those below {@code /metrics} and {@code /debug/}.
 */
public final class ApiServer implements Closeable {
  private static final int EVENT_LOOPS = Math.min(2, Runtime.getRuntime().availableProcessors());
  private static final int BACKLOG = 256;
  private static final int SHUTDOWN_SECONDS = 2;

  private final InetSocketAddress address;
  private final ApiServerOptions options;
  private final Dispatcher dispatcher;
  private final ChannelGroup connections =
      new DefaultChannelGroup("litefs-api", GlobalEventExecutor.INSTANCE);
  private EventLoopGroup loops;
  private Channel listener;

  /**
   * @param address to listen on; port 0 for any that is free
   * @param routes handlers by {@code "METHOD /path"}
   * @param commonHeaders asked at each request, on an event loop: must not block
   */
  public ApiServer(
      InetSocketAddress address,
      Map<String, Exchange.Handler> routes,
      Supplier<Map<String, String>> commonHeaders) {
    this(address, routes, commonHeaders, ApiServerOptions.DEFAULTS);
  }

  ApiServer(
      InetSocketAddress address,
      Map<String, Exchange.Handler> routes,
      Supplier<Map<String, String>> commonHeaders,
      ApiServerOptions options) {
    this.address = address;
    this.options = options;
    this.dispatcher = new Dispatcher(routes, commonHeaders, options.maxExchanges());
  }

  /**
   * Begins to listen, and to answer.
   *
   * @throws IOException as {@link #bind}
   */
  public synchronized void start() throws IOException {
    bind();
    answer();
  }

  /**
   * Begins to listen: the port is this server's, and connections wait in the kernel for {@link
   * #answer}.
   *
   * @throws IOException with one line that names the address, if that is not possible
   */
  public synchronized void bind() throws IOException {
    if (loops != null) {
      throw new IllegalStateException("started already");
    }
    if (address.isUnresolved()) {
      throw new IOException("cannot listen on " + Addresses.text(address) + ": unknown host");
    }
    loops =
        new MultiThreadIoEventLoopGroup(
            EVENT_LOOPS, new DefaultThreadFactory("litefs-api", true), NioIoHandler.newFactory());
    ServerBootstrap bootstrap =
        new ServerBootstrap()
            .group(loops)
            .channel(NioServerSocketChannel.class)
            .option(ChannelOption.SO_REUSEADDR, true)
            .option(ChannelOption.SO_BACKLOG, BACKLOG)
            .option(ChannelOption.AUTO_READ, false)
            .childOption(ChannelOption.ALLOCATOR, Buffers.ALLOCATOR)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childOption(ChannelOption.SO_KEEPALIVE, true)
            .childOption(ChannelOption.AUTO_READ, false)
            .childHandler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel connection) {
                    connections.add(connection);
                    connection.pipeline().addLast(new ProtocolDetector(dispatcher, options));
                  }
                });
    ChannelFuture bound = bootstrap.bind(address).awaitUninterruptibly();
    if (!bound.isSuccess()) {
      loops.shutdownGracefully(0, 0, TimeUnit.SECONDS);
      throw new IOException(
          "cannot listen on " + Addresses.text(address) + ": " + reason(bound.cause()),
          bound.cause());
    }
    listener = bound.channel();
  }

  /** Answers whoever has connected since {@link #bind}, and whoever will. */
  public synchronized void answer() {
    listener.config().setAutoRead(true);
  }

  private static String reason(Throwable cause) {
    String message = String.valueOf(cause.getMessage());
    boolean inUse =
        cause instanceof BindException && message.toLowerCase(Locale.ROOT).contains("in use");
    return inUse ? "another process uses this port" : message;
  }

  /** The port that the server listens on. */
  public synchronized int port() {
    if (listener == null) {
      throw new IllegalStateException("not started");
    }
    return ((InetSocketAddress) listener.localAddress()).getPort();
  }

  /**
   * Stops listening, tells HTTP/2 clients to go, waits about a second for exchanges that are
   * running and breaks off those that remain. Exchanges without an end of their own (streams, event
   * streams) are better ended by their handlers before. Idempotent.
   */
  @Override
  public synchronized void close() {
    if (listener != null && listener.isOpen()) {
      listener.close().awaitUninterruptibly();
      for (Channel connection : connections) {
        if (connection.pipeline().get(Http2FrameCodec.class) != null) {
          connection.writeAndFlush(new DefaultHttp2GoAwayFrame(Http2Error.NO_ERROR));
        } else {
          Http1Connection.closeIfIdle(connection);
        }
      }
    }
    dispatcher.close(options.closeTimeout());
    if (loops != null) {
      connections.close().awaitUninterruptibly(SHUTDOWN_SECONDS, TimeUnit.SECONDS);
      loops
          .shutdownGracefully(0, SHUTDOWN_SECONDS, TimeUnit.SECONDS)
          .awaitUninterruptibly(SHUTDOWN_SECONDS, TimeUnit.SECONDS);
    }
  }
}

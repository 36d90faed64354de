package io.litefs.proxy;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.Closeable;
import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The proxy: takes HTTP/1.1 from clients and gives it on, as {@link Router} decides. Its event
 * loops ({@code litefs-proxy-N}) never block. Thread-safe.
 */
public final class ProxyServer implements Closeable {

  private static final Logger log = LoggerFactory.getLogger(ProxyServer.class);
  private static final int EVENT_LOOPS = Math.min(2, Runtime.getRuntime().availableProcessors());
  private static final int BACKLOG = 1024;
  private static final int GRACE_SECONDS = 2;

  private final ProxyOptions options;
  private final Hop hop = new Hop();
  private final LocalWrites localWrites = new LocalWrites();
  private final Router router;
  private final Resolver resolver = new Resolver();
  private final ChannelGroup clients =
      new DefaultChannelGroup("litefs-proxy", GlobalEventExecutor.INSTANCE);
  private final Map<EventExecutor, UpstreamPool> pools = new ConcurrentHashMap<>();
  private EventLoopGroup loops;
  private Channel listener;

  public ProxyServer(ProxyOptions options, PositionSource positions, PrimaryLocator primary) {
    this.options = options;
    this.router = new Router(options, positions, primary, localWrites, hop);
  }

  ProxyOptions options() {
    return options;
  }

  Hop hop() {
    return hop;
  }

  Router router() {
    return router;
  }

  boolean isFull() {
    return clients.size() > options.limits().maxClients();
  }

  /**
   * Begins to listen.
   *
   * @throws IOException with one line that names the address, if that is not possible
   */
  public synchronized void start() throws IOException {
    if (loops != null) {
      throw new IllegalStateException("started already");
    }
    loops =
        new MultiThreadIoEventLoopGroup(
            EVENT_LOOPS, new DefaultThreadFactory("litefs-proxy", true), NioIoHandler.newFactory());
    for (EventExecutor loop : loops) {
      pools.put(loop, new UpstreamPool((EventLoop) loop, resolver, options.limits()));
    }
    ChannelFuture bound = bootstrap().bind(options.listen()).awaitUninterruptibly();
    if (!bound.isSuccess()) {
      loops.shutdownGracefully(0, 0, TimeUnit.SECONDS);
      throw new IOException(
          "cannot listen on " + text(options.listen()) + ": " + reason(bound.cause()),
          bound.cause());
    }
    listener = bound.channel();
  }

  private ServerBootstrap bootstrap() {
    return new ServerBootstrap()
        .group(loops)
        .channel(NioServerSocketChannel.class)
        .option(ChannelOption.SO_REUSEADDR, true)
        .option(ChannelOption.SO_BACKLOG, BACKLOG)
        .childOption(ChannelOption.ALLOCATOR, Buffers.ALLOCATOR)
        .childOption(
            ChannelOption.RECVBUF_ALLOCATOR,
            new AdaptiveRecvByteBufAllocator(512, 2048, Buffers.MAX_READ))
        .childOption(
            ChannelOption.WRITE_BUFFER_WATER_MARK,
            new WriteBufferWaterMark(Buffers.LOW_WATER, Buffers.HIGH_WATER))
        .childOption(ChannelOption.TCP_NODELAY, true)
        .childOption(ChannelOption.SO_KEEPALIVE, true)
        .childHandler(
            new ChannelInitializer<>() {
              @Override
              protected void initChannel(Channel channel) {
                clients.add(channel);
                ClientConnection client =
                    new ClientConnection(ProxyServer.this, pools.get(channel.eventLoop()), channel);
                channel.pipeline().addLast(client.decoder(), client);
              }
            });
  }

  private static String text(InetSocketAddress address) {
    String host =
        address.getAddress() == null
            ? address.getHostString()
            : address.getAddress().getHostAddress();
    return new Endpoint(host, Math.max(1, address.getPort())).toString();
  }

  private static String reason(Throwable cause) {
    String message = String.valueOf(cause.getMessage());
    boolean inUse =
        cause instanceof BindException && message.toLowerCase(Locale.ROOT).contains("in use");
    return inUse ? "another process uses this port" : message;
  }

  /** The port that the proxy listens on. */
  public synchronized int port() {
    if (listener == null) {
      throw new IllegalStateException("not started");
    }
    return ((InetSocketAddress) listener.localAddress()).getPort();
  }

  /**
   * Waits until the writes that were sent on to the application here have been answered. Once the
   * {@link PrimaryLocator} names no primary or another, no more are sent: so a handoff that has
   * made it do so leaves none behind that would find the database read-only.
   *
   * @return false if they have not within {@code patience}
   */
  public boolean awaitLocalWrites(Duration patience) throws InterruptedException {
    return localWrites.await(patience);
  }

  /** What is left of it concerns one client only. */
  void clientFailed(ClientConnection client, Throwable cause) {
    if (cause instanceof IOException) {
      log.debug("connection from {}: {}", client.address(), cause.getMessage());
    } else {
      log.error("connection from {} is closed", client.address(), cause);
    }
  }

  /**
   * Stops listening, lets exchanges that are running end for up to {@value #GRACE_SECONDS} seconds,
   * and breaks off those that remain. Idempotent.
   */
  @Override
  public synchronized void close() {
    if (loops == null || loops.isShuttingDown()) {
      return;
    }
    if (listener != null) {
      listener.close().awaitUninterruptibly();
    }
    List<Channel> open = new ArrayList<>(clients);
    for (Channel channel : open) {
      channel
          .eventLoop()
          .execute(
              () -> {
                ClientConnection client = channel.pipeline().get(ClientConnection.class);
                if (client != null) {
                  client.stop();
                } else {
                  channel.close(); // a tunnel, which has no end of its own
                }
              });
    }
    clients.newCloseFuture().awaitUninterruptibly(GRACE_SECONDS, TimeUnit.SECONDS);
    clients.close().awaitUninterruptibly(GRACE_SECONDS, TimeUnit.SECONDS);
    pools.forEach((loop, pool) -> loop.execute(pool::close));
    loops
        .shutdownGracefully(0, GRACE_SECONDS, TimeUnit.SECONDS)
        .awaitUninterruptibly(GRACE_SECONDS, TimeUnit.SECONDS);
    resolver.close();
  }
}

package io.litefs.proxy;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.util.concurrent.Future;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * The connections of one event loop to applications and other proxies. A client's connection and
 * the one that serves it are on the same loop, so nothing between them needs a lock or another
 * thread. Event loop only.
 *
 * <p>The number of connections to one endpoint is bounded; whoever needs one more waits for its
 * turn.
 */
final class UpstreamPool {

  /**
   * Oldest connection that a request gets which cannot be repeated: a server may close an idle
   * connection at the very moment that a request goes out on it, and then nobody knows whether it
   * was read. No server known closes within this time.
   */
  private static final long FRESH_NANOS = TimeUnit.SECONDS.toNanos(1);

  private static final long MAX_IDLE_NANOS = TimeUnit.SECONDS.toNanos(15);
  private static final int SWEEP_SECONDS = 5;
  private static final int CONNECT_TIMEOUT_MILLIS = 5000;

  /** What {@link #acquire} ends in, perhaps before it returns. */
  interface Waiter {
    /** Whether it still wants a connection. */
    boolean isWaiting();

    void connected(UpstreamConnection connection);

    void failed(Throwable cause);
  }

  private final EventLoop loop;
  private final Resolver resolver;
  private final ProxyOptions.Limits limits;
  private final Map<Endpoint, Lane> lanes = new HashMap<>();
  private final Future<?> sweeper;

  /** The connections to one endpoint. */
  private static final class Lane {
    final ArrayDeque<UpstreamConnection> idle = new ArrayDeque<>();
    final ArrayDeque<Waiter> waiting = new ArrayDeque<>();
    int open;
  }

  UpstreamPool(EventLoop loop, Resolver resolver, ProxyOptions.Limits limits) {
    this.loop = loop;
    this.resolver = resolver;
    this.limits = limits;
    this.sweeper =
        loop.scheduleWithFixedDelay(this::sweep, SWEEP_SECONDS, SWEEP_SECONDS, TimeUnit.SECONDS);
  }

  EventLoop loop() {
    return loop;
  }

  /**
   * @param repeatable whether the request can be sent again if the connection turns out to be dead
   * @param fresh whether it must be a new connection
   */
  void acquire(Endpoint endpoint, boolean repeatable, boolean fresh, Waiter waiter) {
    Lane lane = lanes.computeIfAbsent(endpoint, e -> new Lane());
    UpstreamConnection connection = fresh ? null : idle(lane, repeatable);
    if (connection != null) {
      waiter.connected(connection);
    } else if (lane.open < limits.maxUpstreams()) {
      lane.open++;
      connect(endpoint, lane, waiter);
    } else if (!lane.idle.isEmpty()) {
      // All are open and those that are idle too old: one of them makes room.
      enqueue(lane, waiter);
      lane.idle.pollFirst().discard();
    } else {
      enqueue(lane, waiter);
    }
  }

  private void enqueue(Lane lane, Waiter waiter) {
    lane.waiting.add(waiter);
    loop.schedule(
        () -> {
          if (lane.waiting.remove(waiter) && waiter.isWaiting()) {
            waiter.failed(new ConnectException("all connections are in use"));
          }
        },
        limits.targetPatience().toMillis(),
        TimeUnit.MILLISECONDS);
  }

  /** The one that was used last, so that those that are not needed age. */
  private static UpstreamConnection idle(Lane lane, boolean repeatable) {
    for (UpstreamConnection c = lane.idle.peekLast(); c != null; c = lane.idle.peekLast()) {
      if (!c.channel().isActive()) {
        lane.idle.pollLast();
      } else if (!repeatable && c.isIdleFor(FRESH_NANOS)) {
        return null;
      } else {
        return lane.idle.pollLast();
      }
    }
    return null;
  }

  /** Called by {@link UpstreamConnection#release} only. */
  void release(UpstreamConnection connection) {
    if (!connection.channel().isActive()) {
      return;
    }
    Lane lane = lanes.get(connection.endpoint());
    Waiter next = nextWaiting(lane);
    if (next != null) {
      next.connected(connection);
    } else {
      lane.idle.addLast(connection);
    }
  }

  /** A connection is no more. */
  void closed(UpstreamConnection connection) {
    Lane lane = lanes.get(connection.endpoint());
    lane.idle.remove(connection);
    leave(connection.endpoint(), lane);
  }

  private void leave(Endpoint endpoint, Lane lane) {
    lane.open--;
    Waiter next = nextWaiting(lane);
    if (next != null) {
      lane.open++;
      connect(endpoint, lane, next);
    } else if (lane.open == 0) {
      // Primaries come and go.
      lanes.remove(endpoint);
    }
  }

  private static Waiter nextWaiting(Lane lane) {
    Waiter next = lane.waiting.poll();
    while (next != null && !next.isWaiting()) {
      next = lane.waiting.poll();
    }
    return next;
  }

  private void connect(Endpoint endpoint, Lane lane, Waiter waiter) {
    resolver
        .resolve(endpoint.host())
        .whenComplete(
            (addresses, e) ->
                onLoop(
                    () -> {
                      if (e != null) {
                        failed(endpoint, lane, waiter, e);
                      } else {
                        connect(endpoint, lane, waiter, addresses, 0);
                      }
                    }));
  }

  private void onLoop(Runnable task) {
    if (loop.inEventLoop()) {
      task.run();
    } else if (!loop.isShuttingDown()) {
      loop.execute(task);
    }
  }

  /** Tries one address after the other: an application may listen on one of a name's only. */
  private void connect(
      Endpoint endpoint, Lane lane, Waiter waiter, List<InetAddress> addresses, int index) {
    ChannelFuture connecting =
        bootstrap(endpoint).connect(new InetSocketAddress(addresses.get(index), endpoint.port()));
    connecting.addListener(
        done -> {
          Channel channel = connecting.channel();
          if (done.isSuccess()) {
            UpstreamConnection connection = channel.pipeline().get(UpstreamConnection.class);
            if (waiter.isWaiting()) {
              waiter.connected(connection);
            } else {
              connection.discard();
            }
          } else if (index + 1 < addresses.size() && waiter.isWaiting()) {
            connect(endpoint, lane, waiter, addresses, index + 1);
          } else {
            failed(endpoint, lane, waiter, done.cause());
          }
        });
  }

  private void failed(Endpoint endpoint, Lane lane, Waiter waiter, Throwable cause) {
    leave(endpoint, lane);
    if (waiter.isWaiting()) {
      waiter.failed(cause);
    }
  }

  private Bootstrap bootstrap(Endpoint endpoint) {
    return new Bootstrap()
        .group(loop)
        .channel(NioSocketChannel.class)
        .option(ChannelOption.ALLOCATOR, Buffers.ALLOCATOR)
        .option(
            ChannelOption.RECVBUF_ALLOCATOR,
            new AdaptiveRecvByteBufAllocator(512, 2048, Buffers.MAX_READ))
        .option(
            ChannelOption.WRITE_BUFFER_WATER_MARK,
            new WriteBufferWaterMark(Buffers.LOW_WATER, Buffers.HIGH_WATER))
        .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, CONNECT_TIMEOUT_MILLIS)
        .option(ChannelOption.TCP_NODELAY, true)
        .option(ChannelOption.SO_KEEPALIVE, true)
        // An application may answer and close before it has read everything: what it said is to be
        // read even if there is nobody any more to write to.
        .option(ChannelOption.AUTO_CLOSE, false)
        .handler(
            new ChannelInitializer<>() {
              @Override
              protected void initChannel(Channel channel) {
                ResponseDecoder decoder = new ResponseDecoder(limits);
                channel
                    .pipeline()
                    .addLast(
                        decoder,
                        new UpstreamConnection(UpstreamPool.this, endpoint, channel, decoder));
              }
            });
  }

  private void sweep() {
    for (Lane lane : List.copyOf(lanes.values())) {
      Iterator<UpstreamConnection> all = List.copyOf(lane.idle).iterator();
      while (all.hasNext()) {
        UpstreamConnection connection = all.next();
        if (connection.isIdleFor(MAX_IDLE_NANOS)) {
          lane.idle.remove(connection);
          connection.discard();
        }
      }
    }
  }

  /** Closes what is idle; what is in use ends with its exchange. */
  void close() {
    sweeper.cancel(false);
    for (Lane lane : List.copyOf(lanes.values())) {
      for (UpstreamConnection connection : List.copyOf(lane.idle)) {
        connection.discard();
      }
      lane.idle.clear();
    }
  }
}

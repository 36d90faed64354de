package io.litefs.proxy;

import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayDeque;

/**
 * A client's connection: one request after the other, each an {@link Exchange}. What a client sends
 * ahead (pipelining) waits, at most what one read from the socket holds. Event loop only.
 */
final class ClientConnection extends ChannelInboundHandlerAdapter {

  /** How long a client that is told to go may still send before its connection is closed. */
  private static final Duration LINGER = Duration.ofSeconds(2);

  private enum Phase {
    /** Between requests; before the first. */
    IDLE,
    HEADERS,
    /** The request's head has been read. */
    EXCHANGE,
    /** The answer is out, without regard to the request's body; the rest of it is thrown away. */
    SKIPPING,
    /** The last answer is out; what still comes is thrown away until the client closes. */
    CLOSING
  }

  private final ProxyServer proxy;
  private final UpstreamPool pool;
  private final Channel channel;
  private final RequestDecoder decoder;
  private final Deadline readDeadline;
  private final Deadline writeDeadline;
  private final ArrayDeque<HttpObject> pending = new ArrayDeque<>();

  private Phase phase = Phase.IDLE;
  private Exchange exchange;
  private boolean working;
  private boolean inRead;
  private boolean stopping;
  private long requestStartNanos;

  ClientConnection(ProxyServer proxy, UpstreamPool pool, Channel channel) {
    this.proxy = proxy;
    this.pool = pool;
    this.channel = channel;
    this.decoder = new RequestDecoder(proxy.options().limits(), this::bytesArrived);
    this.readDeadline = new Deadline(channel.eventLoop(), this::readTooSlow);
    this.writeDeadline = new Deadline(channel.eventLoop(), this::answerTooSlow);
  }

  ProxyServer proxy() {
    return proxy;
  }

  UpstreamPool pool() {
    return pool;
  }

  Channel channel() {
    return channel;
  }

  RequestDecoder decoder() {
    return decoder;
  }

  InetSocketAddress address() {
    return (InetSocketAddress) channel.remoteAddress();
  }

  /** Whether the server stops, and wants no further request here. */
  boolean isStopping() {
    return stopping;
  }

  @Override
  public void channelActive(ChannelHandlerContext ctx) {
    if (proxy.isFull()) {
      refuse(HttpResponseStatus.SERVICE_UNAVAILABLE, "the proxy has too many connections");
    } else {
      readDeadline.set(proxy.options().readHeaderTimeout());
    }
  }

  // ------------------------------------------------------------ requests

  private void bytesArrived() {
    if (phase == Phase.IDLE) {
      phase = Phase.HEADERS;
      requestStartNanos = System.nanoTime();
      readDeadline.set(shorter(proxy.options().readHeaderTimeout(), proxy.options().readTimeout()));
    }
  }

  private static Duration shorter(Duration a, Duration b) {
    if (a.isZero() || b.isZero()) {
      return a.isZero() ? b : a;
    }
    return a.compareTo(b) < 0 ? a : b;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    inRead = true;
    if (phase == Phase.CLOSING) {
      ReferenceCountUtil.release(message);
      return;
    }
    pending.add((HttpObject) message);
    work();
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    inRead = false;
    if (exchange != null) {
      exchange.flushUpstream();
    }
  }

  /** The exchange takes pieces of the request now. */
  void requestWanted() {
    work();
  }

  /** Does with what has come what can be done now. */
  private void work() {
    if (working) {
      return;
    }
    working = true;
    while (phase != Phase.CLOSING && !pending.isEmpty() && takes(pending.peek())) {
      HttpObject message = pending.poll();
      if (message instanceof HttpRequest request) {
        begin(request);
      } else if (exchange != null) {
        exchange.requestBody((HttpContent) message);
      } else {
        skip(message);
      }
    }
    working = false;
    if (!inRead && exchange != null) {
      exchange.flushUpstream();
    }
    updateReading();
  }

  private void skip(HttpObject message) {
    ReferenceCountUtil.release(message);
    if (phase == Phase.SKIPPING && message instanceof LastHttpContent) {
      phase = Phase.IDLE;
      requestStartNanos = System.nanoTime(); // The next may be in what has been read already.
      readDeadline.set(proxy.options().idleTimeout());
    }
  }

  private boolean takes(HttpObject message) {
    if (message instanceof HttpRequest) {
      return exchange == null;
    }
    return exchange == null || exchange.takesBody();
  }

  private void begin(HttpRequest message) {
    phase = Phase.EXCHANGE;
    RequestHead request;
    try {
      request = RequestHead.of(message, proxy.options().limits());
    } catch (Rejected e) {
      refuse(e.status(), e.getMessage());
      return;
    }
    Duration whole = proxy.options().readTimeout();
    readDeadline.set(
        whole.isZero() ? whole : whole.minusNanos(System.nanoTime() - requestStartNanos));
    writeDeadline.set(proxy.options().writeTimeout());
    exchange = new Exchange(this, request);
    if (exchange.isRequestComplete()) {
      requestRead();
    }
    proxy.router().route(exchange);
  }

  /** The whole request has been read. */
  void requestRead() {
    readDeadline.clear();
  }

  /** Throws away what has come of the request's body; returns whether that was all of it. */
  boolean skipBody() {
    while (pending.peek() instanceof HttpContent) {
      HttpObject piece = pending.poll();
      ReferenceCountUtil.release(piece);
      if (piece instanceof LastHttpContent) {
        return piece.decoderResult().isSuccess();
      }
    }
    return false;
  }

  /** Reads from the client as long as somebody takes it. */
  void updateReading() {
    boolean read =
        phase == Phase.CLOSING
            || (pending.isEmpty() && (exchange == null || exchange.wantsReading()));
    if (channel.config().isAutoRead() != read) {
      channel.config().setAutoRead(read);
    }
  }

  // ------------------------------------------------------------ answers

  void flush() {
    channel.flush();
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (exchange != null) {
      exchange.updateUpstreamReading();
    }
  }

  /** The exchange has written the last of its answer. */
  void finished(Exchange done, boolean close) {
    exchange = null;
    writeDeadline.clear();
    if (close || stopping) {
      close(done.isRequestComplete() && pending.isEmpty());
      return;
    }
    phase = done.isRequestComplete() ? Phase.IDLE : Phase.SKIPPING;
    readDeadline.set(proxy.options().idleTimeout());
    if (!pending.isEmpty()) {
      // The next request has begun already.
      bytesArrived();
      work();
    } else {
      updateReading();
    }
  }

  /** Answers something that is no request, and ends the connection. */
  private void refuse(HttpResponseStatus status, String reason) {
    channel.write(OwnAnswer.of(channel.alloc(), status, reason, "Connection: close\r\n", false));
    close(false);
  }

  /**
   * Closes after what has been written.
   *
   * @param readAll whether the client has nothing more to say: else closing would reset the
   *     connection, and the client might lose the answer
   */
  private void close(boolean readAll) {
    phase = Phase.CLOSING;
    exchange = null;
    writeDeadline.clear();
    readDeadline.set(LINGER);
    releasePending();
    if (readAll) {
      channel.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
    } else {
      channel
          .writeAndFlush(Unpooled.EMPTY_BUFFER)
          .addListener(written -> ((DuplexChannel) channel).shutdownOutput());
      channel.config().setAutoRead(true);
    }
  }

  /** Closes at once, in a way that the client cannot take for the end of the answer. */
  void breakOff() {
    if (channel.isActive()) {
      channel.config().setOption(ChannelOption.SO_LINGER, 0);
      channel.close();
    }
  }

  /** From now on bytes go to and fro as they are. */
  void switchProtocols(UpstreamConnection upstream) {
    exchange = null;
    readDeadline.cancel();
    writeDeadline.cancel();
    if (!pending.isEmpty()) {
      // It did not wait for the answer.
      upstream.discard();
      breakOff();
      return;
    }
    Tunnel.join(channel, upstream.channel(), this, decoder, upstream);
  }

  // ------------------------------------------------------------ ends

  private void readTooSlow() {
    switch (phase) {
      // The client is waiting for nothing.
      case IDLE, SKIPPING, CLOSING -> channel.close();
      case HEADERS -> refuse(HttpResponseStatus.REQUEST_TIMEOUT, "the request came too slowly");
      case EXCHANGE -> {
        if (exchange != null) {
          exchange.end(HttpResponseStatus.REQUEST_TIMEOUT, "the request came too slowly");
        }
      }
    }
  }

  private void answerTooSlow() {
    if (exchange != null) {
      exchange.end(HttpResponseStatus.GATEWAY_TIMEOUT, "the answer came too slowly");
    }
  }

  /** Ends the connection if it is idle, else after the present exchange. */
  void stop() {
    stopping = true;
    if (exchange != null) {
      exchange.stop();
    } else if (phase != Phase.CLOSING) {
      channel.close();
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    readDeadline.cancel();
    writeDeadline.cancel();
    phase = Phase.CLOSING;
    releasePending();
    if (exchange != null) {
      Exchange aborted = exchange;
      exchange = null;
      aborted.abort();
    }
  }

  private void releasePending() {
    pending.forEach(ReferenceCountUtil::release);
    pending.clear();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    proxy.clientFailed(this, cause);
    ctx.close();
  }
}

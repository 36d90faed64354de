package io.litefs.proxy;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;

/**
 * A connection to the application or to another proxy. It serves one exchange at a time and lies in
 * the pool between them. Event loop only.
 */
final class UpstreamConnection extends ChannelInboundHandlerAdapter {

  private final UpstreamPool pool;
  private final Endpoint endpoint;
  private final Channel channel;
  private final ResponseDecoder decoder;

  /** Null while it is idle. */
  private Exchange exchange;

  /** Between the head of an interim answer and its (empty) end. */
  private boolean interim;

  /** Its exchange is over; it goes back to the pool unless more comes in the same read. */
  private boolean leaving;

  private boolean used;
  private long idleSinceNanos;

  UpstreamConnection(
      UpstreamPool pool, Endpoint endpoint, Channel channel, ResponseDecoder decoder) {
    this.pool = pool;
    this.endpoint = endpoint;
    this.channel = channel;
    this.decoder = decoder;
  }

  Endpoint endpoint() {
    return endpoint;
  }

  Channel channel() {
    return channel;
  }

  ResponseDecoder decoder() {
    return decoder;
  }

  /** Whether it has served another exchange before the present one. */
  boolean isReused() {
    return used;
  }

  boolean isIdleFor(long nanos) {
    return System.nanoTime() - idleSinceNanos >= nanos;
  }

  void begin(Exchange forExchange) {
    exchange = forExchange;
    decoder.expect(forExchange.request().isHead());
  }

  /**
   * The exchange is over and the connection in order: it goes back to the pool, after the read that
   * brought the end of the answer. What else came, with it or since, must not become the answer to
   * the next request, or a part of it: the connection is closed.
   */
  void release() {
    exchange = null;
    if (!decoder.rest()) {
      channel.close();
      return;
    }
    used = true;
    leaving = true;
    idleSinceNanos = System.nanoTime();
    channel.config().setAutoRead(true);
  }

  /** The exchange is over; whatever still comes is of no interest. */
  void discard() {
    exchange = null;
    channel.close();
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (exchange == null) {
      // Nobody has asked for it.
      ReferenceCountUtil.release(message);
      channel.close();
      return;
    }
    if (message instanceof HttpResponse response) {
      int code = response.status().code();
      if (response.decoderResult().isFailure()) {
        exchange.upstreamBroken("an answer that is no HTTP");
      } else if (code < 200) {
        interim = true;
        exchange.interimHead(response);
      } else {
        exchange.responseHead(response);
      }
    } else if (interim && message instanceof LastHttpContent) {
      interim = false;
      exchange.interimEnd();
    } else if (message instanceof HttpContent piece) {
      if (piece.decoderResult().isFailure()) {
        piece.release();
        exchange.upstreamBroken("a malformed body");
      } else {
        exchange.responseBody(piece);
      }
    } else {
      ReferenceCountUtil.release(message);
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    if (exchange != null) {
      exchange.client().flush();
    } else if (leaving) {
      leaving = false;
      pool.release(this);
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (exchange != null) {
      exchange.client().updateReading();
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    closed();
    if (exchange != null) {
      exchange.upstreamClosed();
    }
  }

  /** The connection is no more. */
  void closed() {
    pool.closed(this);
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    // A reset connection, mostly. channelInactive tells the exchange.
    ctx.close();
  }
}

package io.litefs.proxy;

import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;

/**
 * One end of two joined connections that speak a protocol of their own, as WebSocket: what comes
 * here goes out there. One side is read as fast as the other takes it. Event loop only.
 */
final class Tunnel extends ChannelInboundHandlerAdapter {

  private final Channel here;
  private final Channel there;
  private final Runnable closed;

  private Tunnel(Channel here, Channel there, Runnable closed) {
    this.here = here;
    this.there = there;
    this.closed = closed;
  }

  /** Joins a client and an upstream, whose HTTP handlers leave. */
  static void join(
      Channel client,
      Channel upstream,
      ChannelHandler clientHandler,
      ChannelHandler clientDecoder,
      UpstreamConnection connection) {
    client.flush();
    // First the new handlers: a decoder that is removed gives on what it has not decoded.
    client.pipeline().addLast(new Tunnel(client, upstream, () -> {}));
    upstream.pipeline().addLast(new Tunnel(upstream, client, connection::closed));
    client.pipeline().remove(clientHandler);
    client.pipeline().remove(clientDecoder);
    upstream.pipeline().remove(connection);
    upstream.pipeline().remove(connection.decoder());
    client.config().setAutoRead(true);
    upstream.config().setAutoRead(true);
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object bytes) {
    there.write(bytes);
    if (!there.isWritable()) {
      here.config().setAutoRead(false);
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    there.flush();
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (here.isWritable()) {
      there.config().setAutoRead(true);
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    closed.run();
    if (there.isActive()) {
      there.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
    }
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    // A reset, mostly; channelInactive tells the other side.
    ctx.close();
  }
}

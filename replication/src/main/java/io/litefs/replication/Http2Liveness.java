package io.litefs.replication;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http2.DefaultHttp2PingFrame;
import io.netty.handler.timeout.IdleState;
import io.netty.handler.timeout.IdleStateEvent;
import io.netty.handler.timeout.IdleStateHandler;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Notices that the peer of an HTTP/2 connection has vanished without a word (power, network): pings
 * it when it has been silent, and closes the connection when it stays so. A peer that only does not
 * read one stream answers the ping and is left alone. Stands after the frame codec.
 */
final class Http2Liveness extends IdleStateHandler {
  private static final long PING = 0x6c69746566730000L;

  private boolean pinged;

  Http2Liveness(Duration interval) {
    super(interval.toNanos(), 0, 0, TimeUnit.NANOSECONDS);
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) throws Exception {
    pinged = false;
    super.channelReadComplete(ctx);
  }

  @Override
  protected void channelIdle(ChannelHandlerContext ctx, IdleStateEvent event) {
    if (event.state() != IdleState.READER_IDLE) {
      return;
    }
    if (pinged) {
      ctx.close();
    } else {
      pinged = true;
      ctx.writeAndFlush(new DefaultHttp2PingFrame(PING));
    }
  }
}

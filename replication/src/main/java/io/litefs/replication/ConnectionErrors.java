package io.litefs.replication;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.CodecException;
import io.netty.handler.codec.http2.Http2Exception;
import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What to do about an exception that reaches the end of a server connection's pipeline. */
final class ConnectionErrors {
  private static final Logger log = LoggerFactory.getLogger(ApiServer.class);

  private ConnectionErrors() {}

  /** Closes the channel; its end then tells whom it concerns. Faults of this node are logged. */
  static void close(ChannelHandlerContext ctx, Throwable cause) {
    String peer = Addresses.text(ctx.channel().remoteAddress());
    boolean peersFault =
        cause instanceof IOException
            || cause instanceof CodecException
            || cause instanceof Http2Exception;
    if (peersFault) {
      log.debug("connection from {} closed: {}", peer, cause.toString());
    } else {
      log.error("connection from {} closed", peer, cause);
    }
    ctx.close();
  }
}

package io.litefs.proxy;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpRequestDecoder;

/** Reads requests, strictly; what {@link RequestHead} cannot see any more is refused here. */
final class RequestDecoder extends HttpRequestDecoder {

  private final Runnable bytesArrived;

  /**
   * @param bytesArrived called at each read from the connection, before what was read
   */
  RequestDecoder(ProxyOptions.Limits limits, Runnable bytesArrived) {
    super(
        new HttpDecoderConfig()
            .setMaxInitialLineLength(limits.maxRequestLine())
            .setMaxHeaderSize(limits.maxHeaderBytes())
            .setMaxChunkSize(Buffers.MAX_READ)
            .setAllowDuplicateContentLengths(false)
            .setStrictLineParsing(true));
    this.bytesArrived = bytesArrived;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object bytes) throws Exception {
    bytesArrived.run();
    super.channelRead(ctx, bytes);
  }

  /** Netty would leave the Content-Length out; a program behind another proxy might not. */
  @Override
  protected void handleTransferEncodingChunkedWithContentLength(HttpMessage message) {
    throw new IllegalArgumentException("both Content-Length and Transfer-Encoding");
  }
}

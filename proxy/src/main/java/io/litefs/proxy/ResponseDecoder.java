package io.litefs.proxy;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.netty.util.ReferenceCountUtil;

/**
 * Reads answers, which need one thing from the request to be understood: whether it was HEAD.
 *
 * <p>What comes between the end of an answer and the next request is read by nobody. It may be the
 * beginning of a message, of which the handlers behind this one would not hear: the next answer
 * would be the rest of it.
 */
final class ResponseDecoder extends HttpResponseDecoder {

  private boolean toHead;

  /** Nothing has been asked for since the last answer. */
  private boolean idle;

  ResponseDecoder(ProxyOptions.Limits limits) {
    super(
        new HttpDecoderConfig()
            .setMaxInitialLineLength(limits.maxRequestLine())
            .setMaxHeaderSize(limits.maxHeaderBytes())
            .setMaxChunkSize(Buffers.MAX_READ)
            .setStrictLineParsing(false));
  }

  /** Says what the next answer belongs to. */
  void expect(boolean answerToHead) {
    toHead = answerToHead;
    idle = false;
  }

  /**
   * The answer is complete: until the next {@link #expect} whatever comes ends the connection. To
   * be called while the end of the answer is handled.
   *
   * @return false if something has come with the answer that is no part of it
   */
  boolean rest() {
    idle = true;
    return actualReadableBytes() == 0;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object bytes) throws Exception {
    if (idle) {
      ReferenceCountUtil.release(bytes);
      ctx.close();
    } else {
      super.channelRead(ctx, bytes);
    }
  }

  @Override
  protected boolean isContentAlwaysEmpty(HttpMessage message) {
    int code = ((HttpResponse) message).status().code();
    return toHead || code < 200 || super.isContentAlwaysEmpty(message);
  }

  @Override
  protected void handleTransferEncodingChunkedWithContentLength(HttpMessage message) {
    throw new IllegalArgumentException("both Content-Length and Transfer-Encoding");
  }
}

package io.litefs.proxy;

import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseDecoder;

/** Reads answers, which need one thing from the request to be understood: whether it was HEAD. */
final class ResponseDecoder extends HttpResponseDecoder {

  private boolean toHead;

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

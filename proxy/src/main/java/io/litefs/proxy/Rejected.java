package io.litefs.proxy;

import io.netty.handler.codec.http.HttpResponseStatus;

/** A request that goes no further. The message is what the client is told, one line. */
final class Rejected extends Exception {

  private static final long serialVersionUID = 1L;

  private final transient HttpResponseStatus status;

  Rejected(HttpResponseStatus status, String reason) {
    super(reason, null, false, false);
    this.status = status;
  }

  HttpResponseStatus status() {
    return status;
  }
}

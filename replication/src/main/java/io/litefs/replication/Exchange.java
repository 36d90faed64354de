package io.litefs.replication;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Optional;

/**
 * One HTTP request and its answer, with blocking streams over Netty (HTTP/1.1 or HTTP/2 alike).
 * Used by one worker thread. Both bodies are bounded by flow control: neither is buffered whole.
 */
public interface Exchange {

  String method();

  /** The path without the query, decoded. */
  String path();

  /** First value of a query parameter, decoded. */
  Optional<String> query(String name);

  /** First value of a request header, whatever the case of its name. */
  Optional<String> header(String name);

  boolean isHttp2();

  /** Address and port of the client, for logs and status. */
  default String remoteAddress() {
    return "unknown";
  }

  /**
   * The request body; also a {@link java.nio.channels.ReadableByteChannel}. Reading fails with an
   * IOException when the client goes away.
   */
  InputStream body();

  /** Adds a response header; before {@link #respond}. */
  void setHeader(String name, String value);

  /**
   * Sends status and headers and returns the response body, also a {@link
   * java.nio.channels.WritableByteChannel}. A write blocks until the client has taken enough of
   * what came before. What is written may be held back until {@code flush} or {@code close}; the
   * body is closed for a handler that returns without doing so. To a HEAD nothing of the body is
   * sent, and after the first 64 KiB a write fails.
   *
   * @param contentType null for none
   * @param length exact length of the body, -1 if unknown
   */
  OutputStream respond(int status, String contentType, long length) throws IOException;

  /** A whole answer in one piece: {@code text/plain}, one line. */
  void respondText(int status, String line) throws IOException;

  /**
   * Runs {@code action} (quickly, on an event loop) once the client has gone or the exchange is
   * complete; at once if that is so already.
   */
  void onClose(Runnable action);

  /**
   * Breaks the exchange off: the client sees an incomplete answer, pending and later reads and
   * writes fail. Any thread.
   */
  default void abort(String reason) {
    throw new UnsupportedOperationException("abort");
  }

  /** Answers the requests of one route. */
  @FunctionalInterface
  interface Handler {
    /**
     * Handles one request on a worker thread. An exception before {@link #respond} becomes a 500
     * with its message; a later one breaks the exchange off.
     */
    void handle(Exchange exchange) throws IOException;
  }
}

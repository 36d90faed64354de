package io.litefs.replication;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Optional;

/**
 * One HTTP request and its answer, with blocking streams over Netty (HTTP/1.1 or HTTP/2 alike). Used by one worker thread.
 * Both bodies are bounded by flow control: neither is buffered whole.
 */
public interface Exchange {

  String method();

  /** The path without the query. */
  String path();

  /** First value of a query parameter, decoded. */
  Optional<String> query(String name);

  Optional<String> header(String name);

  boolean isHttp2();

  /** The request body. Reading fails with an IOException when the client goes away. */
  InputStream body();

  /** Adds a response header; before {@link #respond}. */
  void setHeader(String name, String value);

  /** Sends status and headers and returns the response body; {@code length} -1 if unknown. A write blocks until the client has taken enough of what came before. */
  OutputStream respond(int status, String contentType, long length) throws IOException;

  /** A whole answer in one piece: {@code text/plain}, one line. */
  void respondText(int status, String line) throws IOException;

  /** Runs {@code action} (quickly, on an event loop) once the client has gone or the exchange is complete. */
  void onClose(Runnable action);

  @FunctionalInterface
  interface Handler {
    /** Handles one request on a worker thread. An exception before {@link #respond} becomes a 500 with its message. */
    void handle(Exchange exchange) throws IOException;
  }
}

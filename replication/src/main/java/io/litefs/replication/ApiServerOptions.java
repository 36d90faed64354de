package io.litefs.replication;

import java.time.Duration;

/**
 * Limits of an {@link ApiServer}.
 *
 * @param headerTimeout from a connection's start to its first complete request header, and for the
 *     preface of HTTP/2
 * @param idleTimeout how long an HTTP/1.1 connection is kept for its next request
 * @param bodyTimeout how long a handler waits for the next byte of a request body; and, with
 *     HTTP/1.1, for a client to take some of the response. With HTTP/2 a slow reader may take as
 *     long as it likes, as long as its connection answers pings
 * @param pingInterval silence after which an HTTP/2 peer is pinged; after as much again the
 *     connection is closed
 * @param closeTimeout what {@link ApiServer#close} grants running exchanges before it breaks them
 *     off
 * @param maxExchanges handled at the same time, each by a thread; further ones are answered 503
 */
record ApiServerOptions(
    Duration headerTimeout,
    Duration idleTimeout,
    Duration bodyTimeout,
    Duration pingInterval,
    Duration closeTimeout,
    int maxExchanges) {

  /** Longest request line, longest sum of all headers, in bytes. */
  static final int MAX_REQUEST_LINE = 8 * 1024;

  static final int MAX_HEADERS = 16 * 1024;

  /** Most bytes of one request body that wait for the handler; the HTTP/2 stream window. */
  static final int BODY_WINDOW = 256 * 1024;

  /** HTTP/2 connection window: a few stuck uploads do not stop the others on the connection. */
  static final int CONNECTION_WINDOW = 1024 * 1024;

  static final int MAX_STREAMS_PER_CONNECTION = 100;

  static final ApiServerOptions DEFAULTS =
      new ApiServerOptions(
          Duration.ofSeconds(10),
          Duration.ofSeconds(75),
          Duration.ofSeconds(60),
          Duration.ofSeconds(15),
          Duration.ofSeconds(1),
          256);
}

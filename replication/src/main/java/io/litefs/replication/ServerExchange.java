package io.litefs.replication;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * What HTTP/1.1 and HTTP/2 have in common on the server's side of an exchange. The event loop calls
 * {@link #peerGone} and {@link #complete}; a worker thread has the rest.
 */
abstract class ServerExchange implements Exchange, BodyOutput.Sink {
  private static final String TEXT = "text/plain; charset=utf-8";

  final Channel channel;
  final BodyInput body;
  private final String method;
  private final QueryStringDecoder uri;
  private final Duration writeTimeout;
  private final Map<String, String> headers = new LinkedHashMap<>();

  // Guarded by this.
  private OutputStream response;
  private BodyOutput output;
  private boolean over;
  private IOException aborted;
  private final List<Runnable> closeActions = new ArrayList<>();

  ServerExchange(
      Channel channel, String method, String uri, BodyInput body, Duration writeTimeout) {
    this.channel = channel;
    this.method = method;
    this.uri = new QueryStringDecoder(uri);
    this.body = body;
    this.writeTimeout = writeTimeout;
  }

  /**
   * Sends status and headers, whose names are as the handler gave them.
   *
   * @param length of the body, -1 if unknown
   * @param end whether there is no body
   */
  abstract void sendHead(int status, Map<String, String> headers, long length, boolean end);

  /** Breaks the exchange off on the wire. */
  abstract void sendAbort();

  @Override
  public final String method() {
    return method;
  }

  @Override
  public final String path() {
    return uri.path();
  }

  @Override
  public final Optional<String> query(String name) {
    List<String> values = uri.parameters().get(name);
    return values == null ? Optional.empty() : Optional.of(values.get(0));
  }

  @Override
  public final String remoteAddress() {
    return Addresses.text(channel.remoteAddress());
  }

  @Override
  public final InputStream body() {
    return body;
  }

  @Override
  public final void setHeader(String name, String value) {
    Objects.requireNonNull(value, name);
    headers.put(name, value);
  }

  @Override
  public final OutputStream respond(int status, String contentType, long length)
      throws IOException {
    if (contentType != null) {
      headers.put("Content-Type", contentType);
    }
    synchronized (this) {
      if (response != null) {
        throw new IllegalStateException("the exchange has its answer already");
      }
      if (aborted != null) {
        throw new PeerGoneException(aborted.getMessage(), aborted);
      }
      boolean bodyless = method.equals("HEAD") || status == 204 || status == 304 || length == 0;
      if (bodyless) {
        response = new DiscardingOutput();
      } else {
        output = new BodyOutput(this, length, writeTimeout);
        response = output;
      }
      sendHead(status, headers, length, bodyless);
      return response;
    }
  }

  @Override
  public final void respondText(int status, String line) throws IOException {
    String oneLine = line.replace('\r', ' ').replace('\n', ' ').strip() + "\n";
    byte[] bytes = oneLine.getBytes(StandardCharsets.UTF_8);
    try (OutputStream out = respond(status, TEXT, bytes.length)) {
      out.write(bytes);
    }
  }

  @Override
  public final void onClose(Runnable action) {
    synchronized (this) {
      if (!over) {
        closeActions.add(action);
        return;
      }
    }
    action.run();
  }

  @Override
  public final void abort(String reason) {
    PeerGoneException cause = new PeerGoneException(reason);
    if (fail(cause)) {
      body.abort(cause);
      sendAbort();
    }
  }

  /** The client has gone. Event loop. */
  final void peerGone() {
    PeerGoneException cause = new PeerGoneException("client has gone away");
    body.fail(cause);
    fail(cause);
  }

  /** Makes the answer fail; false if the exchange was over already. */
  private boolean fail(IOException cause) {
    BodyOutput out;
    synchronized (this) {
      if (over) {
        return false;
      }
      aborted = cause;
      out = output;
    }
    if (out != null) {
      out.fail(cause);
    }
    complete();
    return true;
  }

  /**
   * The last byte of the answer has been sent, or never will be. Any thread, any number of times.
   */
  final void complete() {
    List<Runnable> actions;
    synchronized (this) {
      if (over) {
        return;
      }
      over = true;
      actions = List.copyOf(closeActions);
      closeActions.clear();
    }
    actions.forEach(Runnable::run);
  }

  final synchronized boolean isAnswered() {
    return response != null;
  }

  /** Whether the client has gone or the exchange was broken off. */
  final synchronized boolean isBroken() {
    return aborted != null;
  }

  /** Whether the handler has given the whole answer. */
  final synchronized boolean isAnsweredWhole() {
    return response != null && (output == null || output.isEnded());
  }

  /** Ends an answer that the handler has left open. */
  final void closeResponse() throws IOException {
    OutputStream out;
    synchronized (this) {
      out = response;
    }
    out.close();
  }

  static ByteBuf orEmpty(ByteBuf data) {
    return data == null ? Unpooled.EMPTY_BUFFER : data;
  }

  /** The body that the answer to a HEAD would have. */
  private static final class DiscardingOutput extends OutputStream {
    private static final int PATIENCE = 64 * 1024;

    private long discarded;

    @Override
    public void write(int b) throws IOException {
      count(1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      count(length);
    }

    private void count(int length) throws IOException {
      discarded += length;
      if (discarded > PATIENCE) {
        throw new PeerGoneException("the answer has no body and is complete");
      }
    }
  }
}

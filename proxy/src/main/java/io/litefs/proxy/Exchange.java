package io.litefs.proxy;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.LastHttpContent;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request of a client and its answer, which flow through as they come: nothing is kept but what
 * the sockets' buffers hold. Event loop only.
 *
 * <pre>
 *   ROUTING ---> CONNECTING ---> OPEN ---> ENDED
 *      ^             |             |
 *      +-------------+-------------+   not connected; a dead connection from the pool
 * </pre>
 *
 * A request that may have been executed is never sent twice. Only one that reads, and that got a
 * connection from the pool which ended without a byte, is sent again, once, on a new connection.
 */
final class Exchange implements UpstreamPool.Waiter {

  private static final Logger log = LoggerFactory.getLogger(Exchange.class);

  /** Bytes of a body that nobody wants that are read nevertheless, to keep the connection. */
  private static final int SMALL_BODY = 64 << 10;

  private enum State {
    ROUTING,
    CONNECTING,
    OPEN,
    ENDED
  }

  private final ClientConnection client;
  private final RequestHead request;
  private final long startNanos = System.nanoTime();

  private State state = State.ROUTING;

  /** The last piece of the request has been read from the client. */
  private boolean requestComplete;

  private Endpoint endpoint;
  private boolean repeatable;
  private boolean repeated;
  private Consumer<Throwable> onConnectFailure;

  /** Asked when the answer begins, for what the client is to carry; whole header fields. */
  private Supplier<String> marks;

  private UpstreamConnection upstream;
  private boolean answerBegun;
  private HttpResponse switching;
  private Framing answerFraming = Framing.NONE;
  private boolean upstreamStays;
  private boolean closeClient;

  /** Runs once, when nothing more is to come from the upstream. */
  private Runnable onEnd = () -> {};

  /** Nothing good can follow on the client's connection. */
  private boolean broken;

  private int status;

  Exchange(ClientConnection client, RequestHead request) {
    this.client = client;
    this.request = request;
    this.requestComplete = !request.hasBody();
  }

  ClientConnection client() {
    return client;
  }

  RequestHead request() {
    return request;
  }

  /** Has {@code action} run when the exchange ends, however it does. */
  void onEnd(Runnable action) {
    onEnd = action;
  }

  private void ended() {
    state = State.ENDED;
    Runnable action = onEnd;
    onEnd = () -> {};
    action.run();
  }

  boolean isEnded() {
    return state == State.ENDED;
  }

  boolean isRequestComplete() {
    return requestComplete;
  }

  // ------------------------------------------------------------ to the upstream

  /**
   * Sends the request on.
   *
   * @param mayRepeat whether it does no harm if it is executed twice
   * @param marksToGive see {@link TxidMarks#fields}
   * @param connectFailure called if there is no connection; nothing has been sent then
   */
  void send(
      Endpoint to,
      boolean mayRepeat,
      Supplier<String> marksToGive,
      Consumer<Throwable> connectFailure) {
    state = State.CONNECTING;
    endpoint = to;
    repeatable = mayRepeat && !request.hasBody();
    marks = marksToGive;
    onConnectFailure = connectFailure;
    client.pool().acquire(to, repeatable, false, this);
  }

  @Override
  public boolean isWaiting() {
    return state == State.CONNECTING;
  }

  @Override
  public void connected(UpstreamConnection connection) {
    state = State.OPEN;
    upstream = connection;
    connection.begin(this);
    Channel channel = connection.channel();
    channel.write(Head.request(channel.alloc(), request, client.address(), client.proxy().hop()));
    client.requestWanted();
  }

  @Override
  public void failed(Throwable cause) {
    state = State.ROUTING;
    onConnectFailure.accept(cause);
  }

  /** Whether the next piece of the request can be taken now. */
  boolean takesBody() {
    return switch (state) {
      case ROUTING, CONNECTING -> !request.hasBody();
      case OPEN, ENDED -> true;
    };
  }

  /** Whether the client is to be read from. */
  boolean wantsReading() {
    // Once the request is complete, the end of the connection is what is to be noticed.
    return requestComplete || (state == State.OPEN && upstream.channel().isWritable());
  }

  void requestBody(HttpContent piece) {
    if (piece.decoderResult().isFailure()) {
      piece.release();
      // The application must not take what it has got for the whole.
      end(HttpResponseStatus.BAD_REQUEST, "malformed body");
      return;
    }
    requestComplete |= piece instanceof LastHttpContent;
    if (requestComplete) {
      client.requestRead();
    }
    if (state == State.OPEN) {
      request.framing().write(upstream.channel(), piece);
    } else {
      piece.release();
    }
  }

  void flushUpstream() {
    if (upstream != null) {
      upstream.channel().flush();
    }
  }

  // ------------------------------------------------------------ from the upstream

  /** 1xx: passed on at once, if the client can expect it. */
  void interimHead(HttpResponse response) {
    repeatable = false;
    int code = response.status().code();
    if (code == 101) {
      if (request.upgrade() == null) {
        upstreamBroken("another protocol that nobody had asked for");
      } else {
        switching = response;
      }
    } else if (code == 100 ? request.expectsContinue() : !request.http10()) {
      write(response, null, null, "");
      client.flush();
    }
  }

  void interimEnd() {
    if (switching != null && !isEnded()) {
      answerBegun = true;
      status = 101;
      ended();
      String protocol = switching.headers().get(HttpHeaderNames.UPGRADE, request.upgrade());
      write(switching, null, "Upgrade", "Upgrade: " + protocol + "\r\n");
      logEnd();
      client.switchProtocols(upstream);
    }
  }

  void responseHead(HttpResponse response) {
    HttpHeaders headers = response.headers();
    List<String> encodings = headers.getAll(HttpHeaderNames.TRANSFER_ENCODING);
    boolean chunked = !encodings.isEmpty();
    if (chunked && (encodings.size() > 1 || !HopByHop.is(encodings.get(0), "chunked"))) {
      upstreamBroken("a Transfer-Encoding other than 'chunked'");
      return;
    }
    answerBegun = true;
    status = response.status().code();
    String length = chunked ? null : headers.get(HttpHeaderNames.CONTENT_LENGTH);
    boolean bodiless = request.isHead() || status == 204 || status == 304;
    answerFraming = bodiless ? Framing.NONE : framing(length);
    // A body that comes after such a head would be taken for the beginning of the next answer.
    boolean contradictory = status == 204 && length != null && !length.equals("0");
    upstreamStays =
        HttpUtil.isKeepAlive(response) && !contradictory && (bodiless || chunked || length != null);
    closeClient =
        !request.keepAlive()
            || answerFraming == Framing.CLOSE
            || !requestComplete
            || client.isStopping();
    write(response, status == 204 ? null : length, connection(), marks.get());
  }

  private Framing framing(String length) {
    if (length != null) {
      return Framing.LENGTH;
    }
    return request.http10() ? Framing.CLOSE : Framing.CHUNKED;
  }

  /** The Connection field for the client. */
  private String connection() {
    if (closeClient) {
      return "close";
    }
    return request.http10() ? "keep-alive" : null;
  }

  private void write(HttpResponse response, String length, String connection, String extra) {
    Channel channel = client.channel();
    channel.write(
        Head.response(channel.alloc(), response, answerFraming, length, connection, extra));
  }

  void responseBody(HttpContent piece) {
    boolean last = piece instanceof LastHttpContent;
    answerFraming.write(client.channel(), piece);
    if (last) {
      finish();
    } else {
      updateUpstreamReading();
    }
  }

  /** The client takes more again, or not any more. */
  void updateUpstreamReading() {
    if (upstream != null) {
      boolean read = client.channel().isWritable();
      if (upstream.channel().config().isAutoRead() != read) {
        upstream.channel().config().setAutoRead(read);
      }
    }
  }

  private void finish() {
    ended();
    logEnd();
    client.flush();
    UpstreamConnection done = upstream;
    upstream = null;
    if (upstreamStays && requestComplete) {
      // What is left of the request must be on its way before another comes.
      done.channel().flush();
      done.release();
    } else {
      done.discard();
    }
    client.finished(this, closeClient);
  }

  /** The connection has ended. */
  void upstreamClosed() {
    if (isEnded()) {
      return;
    }
    boolean untouched = upstream.isReused() && !answerBegun;
    discardUpstream();
    if (untouched && repeatable && !repeated) {
      repeated = true;
      state = State.CONNECTING;
      client.pool().acquire(endpoint, repeatable, true, this);
    } else {
      upstreamFailed("no whole answer before it closed the connection");
    }
  }

  /** What came is of no use. */
  void upstreamBroken(String what) {
    if (!isEnded()) {
      discardUpstream();
      upstreamFailed(what);
    }
  }

  private void upstreamFailed(String what) {
    String unknown = request.isRead() ? "" : "; whether the request was carried out is not known";
    answer(HttpResponseStatus.BAD_GATEWAY, "got from " + endpoint + " " + what + unknown, "");
  }

  private void discardUpstream() {
    if (upstream != null) {
      UpstreamConnection broken = upstream;
      upstream = null;
      broken.discard();
    }
  }

  // ------------------------------------------------------------ without an upstream

  /**
   * Ends the exchange with an answer of our own; if another has begun, with the client's
   * connection.
   *
   * @param text one line
   * @param extra whole header fields
   */
  void answer(HttpResponseStatus answerStatus, String text, String extra) {
    if (isEnded()) {
      return;
    }
    if (answerBegun) {
      ended();
      log.warn("broken off: {} {}: {}", request.method(), request.path(), text);
      client.breakOff();
      return;
    }
    requestComplete |= client.skipBody();
    boolean restIsSmall =
        request.framing() == Framing.LENGTH
            && request.contentLength() <= SMALL_BODY
            && !request.expectsContinue();
    closeClient =
        broken || !request.keepAlive() || client.isStopping() || !(requestComplete || restIsSmall);
    ended();
    status = answerStatus.code();
    logEnd();
    client.channel().write(ownAnswer(answerStatus, text, extra));
    client.flush();
    client.finished(this, closeClient);
  }

  private ByteBuf ownAnswer(HttpResponseStatus answerStatus, String text, String extra) {
    String connection = connection();
    return OwnAnswer.of(
        client.channel().alloc(),
        answerStatus,
        text,
        connection == null ? extra : extra + "Connection: " + connection + "\r\n",
        request.isHead());
  }

  /** As {@link #answer}, whatever the upstream is doing, and ends the client's connection. */
  void end(HttpResponseStatus answerStatus, String text) {
    broken = true;
    discardUpstream();
    answer(answerStatus, text, "");
  }

  /** The proxy stops. What has been sent on may end; what waits gets an answer while it can. */
  void stop() {
    if (state == State.ROUTING || state == State.CONNECTING) {
      answer(
          HttpResponseStatus.SERVICE_UNAVAILABLE,
          "the proxy stops; the request went no further",
          "");
    }
  }

  /** The client is gone, or does not get an answer any more. */
  void abort() {
    ended();
    discardUpstream();
  }

  private void logEnd() {
    if (client.proxy().options().debug()) {
      log.info(
          "{} {} -> {} {} in {} us",
          request.method(),
          request.path(),
          status,
          endpoint == null ? "by the proxy" : endpoint,
          (System.nanoTime() - startNanos) / 1000);
    }
  }
}

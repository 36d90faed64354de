package io.litefs.replication;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.DateFormatter;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.DefaultLastHttpContent;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Date;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.TimeUnit;

/**
 * An HTTP/1.x connection: one exchange after the other. The socket is read, one buffer at a time,
 * only while there is room for what comes: in the body's ring while a request is being received, in
 * {@link #pending} while it is being answered, where one read stands by so that a client that goes
 * away is noticed. All methods but those of {@link Exchange1} run on the event loop.
 */
final class Http1Connection extends ChannelInboundHandlerAdapter {

  /** Room that a read needs: more than one socket read can bring. */
  private static final int READ_ROOM = ApiServerOptions.BODY_WINDOW / 2;

  /** How much of a body that nobody wants is read, to keep the connection. */
  private static final int MAX_DISCARD = 256 * 1024;

  /** How long a client may go on sending after its answer before the connection is cut. */
  private static final Duration LINGER = Duration.ofSeconds(2);

  private enum State {
    /** Waiting for a request, or receiving and answering one. */
    SERVING,
    /** Answered; the rest of the request is thrown away. */
    DISCARDING,
    /** Closed for output; input is thrown away until the client closes. */
    LINGERING
  }

  private final Dispatcher dispatcher;
  private final ApiServerOptions options;
  private final Queue<Object> pending = new ArrayDeque<>();
  private ChannelHandlerContext ctx;
  private State state = State.SERVING;
  private Exchange1 exchange;
  private boolean reading;
  private long discarded;
  private Future<?> timer;

  Http1Connection(Dispatcher dispatcher, ApiServerOptions options) {
    this.dispatcher = dispatcher;
    this.options = options;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    this.ctx = ctx;
    closeAfter(options.headerTimeout());
  }

  private void closeAfter(Duration timeout) {
    cancelTimer();
    timer = ctx.executor().schedule(() -> ctx.close(), timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  private void cancelTimer() {
    if (timer != null) {
      timer.cancel(false);
      timer = null;
    }
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    pending.add(message);
    drain();
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    reading = false;
    readMore();
  }

  private void readMore() {
    boolean room =
        state != State.SERVING
            || exchange == null
            || exchange.received
            || exchange.body.free() >= READ_ROOM;
    if (!reading && room && pending.isEmpty()) {
      reading = true;
      ctx.read();
    }
  }

  private void drain() {
    while (!pending.isEmpty()) {
      boolean answering = state == State.SERVING && exchange != null && exchange.received;
      if (answering) {
        return; // A pipelined request waits for its turn.
      }
      Object message = pending.poll();
      try {
        if (state == State.LINGERING) {
          continue;
        }
        if (message instanceof HttpRequest request) {
          begin(request);
        } else if (message instanceof HttpContent content) {
          receive(content);
        }
      } catch (IOException e) {
        ctx.close();
      } finally {
        ReferenceCountUtil.release(message);
      }
    }
  }

  private void begin(HttpRequest request) {
    cancelTimer();
    if (request.decoderResult().isFailure()) {
      refuse(request.decoderResult().cause());
      return;
    }
    exchange = new Exchange1(request);
    String expect = request.headers().get(HttpHeaderNames.EXPECT);
    if (HttpUtil.is100ContinueExpected(request)) {
      exchange.awaitsContinue = true;
      exchange.body.beforeFirstWait(exchange::sendContinue);
    } else if (expect != null && !request.protocolVersion().equals(HttpVersion.HTTP_1_0)) {
      refuse(HttpResponseStatus.EXPECTATION_FAILED, "unknown expectation");
      return;
    }
    dispatcher.dispatch(exchange);
  }

  private void receive(HttpContent content) throws IOException {
    if (content.decoderResult().isFailure()) {
      if (exchange != null) {
        exchange.peerGone();
      }
      throw new IOException("malformed body");
    }
    boolean last = content instanceof LastHttpContent;
    if (state == State.DISCARDING) {
      discarded += content.content().readableBytes();
      if (last) {
        nextRequest();
      } else if (discarded > MAX_DISCARD) {
        linger();
      }
    } else if (exchange != null) {
      exchange.awaitsContinue = false;
      exchange.body.offer(content.content());
      if (last) {
        exchange.received = true;
        exchange.body.finish();
      }
    }
  }

  /** The last byte of an answer was handed to the socket. */
  private void answered(Exchange1 answered) {
    if (exchange != answered || state != State.SERVING) {
      return;
    }
    if (exchange.lastOnConnection || exchange.awaitsContinue) {
      // A client that was never told to continue may or may not send its body: no telling where
      // the next request begins.
      linger();
    } else if (exchange.received) {
      nextRequest();
    } else {
      state = State.DISCARDING;
      discarded = exchange.body.available();
      closeAfter(LINGER);
    }
    drain();
    readMore();
  }

  private void nextRequest() {
    state = State.SERVING;
    exchange = null;
    closeAfter(options.idleTimeout());
  }

  /** Closes without a reset, which could destroy the answer on its way to the client. */
  private void linger() {
    state = State.LINGERING;
    if (exchange != null && exchange.received) {
      ctx.close();
      return;
    }
    ((DuplexChannel) ctx.channel()).shutdownOutput();
    closeAfter(LINGER);
  }

  private void refuse(Throwable cause) {
    if (cause instanceof TooLongHttpLineException) {
      refuse(HttpResponseStatus.REQUEST_URI_TOO_LONG, "request line is too long");
    } else if (cause instanceof TooLongHttpHeaderException) {
      refuse(HttpResponseStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request headers are too long");
    } else {
      refuse(HttpResponseStatus.BAD_REQUEST, "malformed request");
    }
  }

  private void refuse(HttpResponseStatus status, String line) {
    state = State.LINGERING;
    byte[] text = (line + "\n").getBytes(StandardCharsets.UTF_8);
    DefaultFullHttpResponse response =
        new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, status, Unpooled.wrappedBuffer(text));
    response
        .headers()
        .set(HttpHeaderNames.CONTENT_TYPE, "text/plain; charset=utf-8")
        .set(HttpHeaderNames.CONTENT_LENGTH, text.length)
        .set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
    exchange = null;
    ctx.writeAndFlush(response)
        .addListener(
            sent -> {
              if (sent.isSuccess()) {
                linger();
              } else {
                ctx.close();
              }
            });
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    cancelTimer();
    pending.forEach(ReferenceCountUtil::release);
    pending.clear();
    if (exchange != null) {
      exchange.peerGone();
    }
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    ConnectionErrors.close(ctx, cause);
  }

  /** Path and query of a request target, which may be a whole URI. */
  private static String origin(String target) {
    int scheme = target.indexOf("://");
    if (target.startsWith("/") || scheme < 0) {
      return target;
    }
    int path = target.indexOf('/', scheme + 3);
    return path < 0 ? "/" : target.substring(path);
  }

  /** One request on this connection and its answer. */
  private final class Exchange1 extends ServerExchange {
    private final HttpRequest request;

    /** Whether the connection ends with the answer. */
    private volatile boolean lastOnConnection;

    // Event loop only.
    private boolean awaitsContinue;
    private boolean received;

    Exchange1(HttpRequest request) {
      super(
          ctx.channel(),
          request.method().name(),
          origin(request.uri()),
          new BodyInput(
              ApiServerOptions.BODY_WINDOW, taken -> ctx.executor().execute(() -> readMore())),
          options.bodyTimeout());
      this.request = request;
      this.lastOnConnection = !HttpUtil.isKeepAlive(request);
      body.setTimeout(options.bodyTimeout());
    }

    @Override
    public boolean isHttp2() {
      return false;
    }

    @Override
    public Optional<String> header(String name) {
      return Optional.ofNullable(request.headers().get(name));
    }

    private void sendContinue() {
      ctx.executor()
          .execute(
              () -> {
                if (awaitsContinue) {
                  awaitsContinue = false;
                  ctx.writeAndFlush(
                      new DefaultFullHttpResponse(
                          HttpVersion.HTTP_1_1,
                          HttpResponseStatus.CONTINUE,
                          Unpooled.EMPTY_BUFFER));
                }
              });
    }

    @Override
    void sendHead(int status, Map<String, String> headers, long length, boolean end) {
      HttpResponse response =
          new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status));
      headers.forEach(response.headers()::set);
      response.headers().set(HttpHeaderNames.DATE, DateFormatter.format(new Date()));
      boolean http10 = request.protocolVersion().equals(HttpVersion.HTTP_1_0);
      if (length >= 0 && status != 204) {
        response.headers().set(HttpHeaderNames.CONTENT_LENGTH, length);
      } else if (!http10 && status != 204 && status != 304) {
        HttpUtil.setTransferEncodingChunked(response, true);
      }
      if (http10 && length < 0) {
        lastOnConnection = true; // The end of the connection is the end of the body.
      }
      if (lastOnConnection) {
        response.headers().add(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
      } else if (http10) {
        response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.KEEP_ALIVE);
      }
      ctx.writeAndFlush(response);
      if (end) {
        sendLast(null);
      }
    }

    @Override
    public ChannelFuture send(ByteBuf data) {
      return ctx.writeAndFlush(new DefaultHttpContent(data));
    }

    @Override
    public ChannelFuture sendLast(ByteBuf data) {
      return ctx.writeAndFlush(new DefaultLastHttpContent(orEmpty(data)))
          .addListener(
              sent -> {
                if (sent.isSuccess()) {
                  complete();
                  answered(this);
                } else {
                  peerGone();
                }
              });
    }

    @Override
    void sendAbort() {
      Channel connection = ctx.channel();
      connection.eventLoop().execute(() -> connection.close());
    }
  }

  /** Closes the connection if it waits for a request. Any thread. */
  static void closeIfIdle(Channel connection) {
    Http1Connection http = connection.pipeline().get(Http1Connection.class);
    if (http != null) {
      connection
          .eventLoop()
          .execute(
              () -> {
                if (http.exchange == null) {
                  connection.close();
                }
              });
    }
  }
}

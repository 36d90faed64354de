package io.litefs.replication;

import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.Closeable;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The replica's end of the replication stream: connects to the primary, again and again until it is
 * closed, and gives what it receives to a {@link ChangeSink}, on a thread of its own ({@code
 * litefs-stream}). What stands in the way is logged once, not at each attempt.
 */
public final class StreamClient implements Closeable {
  private static final Logger log = LoggerFactory.getLogger(StreamClient.class);

  private static final int MAX_ERROR_LINE = 512;
  private static final int MIN_WINDOW = 65535;
  private static final long AFTER_END_MILLIS = 100;

  /** First pause after a node has said that it is not the primary; the next ones are longer. */
  private static final long SOON_MILLIS = 20;

  /** So often it says so before anybody is told: the lease may name it a moment before it leads. */
  private static final int QUIET_REFUSALS = 4;

  private static final long CLOSE_SECONDS = 5;

  /**
   * Times and sizes.
   *
   * @param reconnectDelay pause after a failure
   * @param refusedDelay pause after an answer that will not change soon: own id, another cluster
   * @param connectTimeout for connecting and for the header of the answer
   * @param heartbeatTimeout silence between frames after which the primary counts as dead
   * @param fileTimeout the same within an LTX file, and before the stream is ready: a snapshot may
   *     have to wait for locks
   * @param window bytes received ahead of the sink, at least 65535: with a round trip of 50 ms, 2
   *     MiB let 40 MB/s through
   */
  public record Options(
      Duration reconnectDelay,
      Duration refusedDelay,
      Duration connectTimeout,
      Duration heartbeatTimeout,
      Duration fileTimeout,
      int window) {

    /** Refuses windows that are too small. */
    public Options {
      if (window < MIN_WINDOW) {
        throw new IllegalArgumentException("window must be at least " + MIN_WINDOW);
      }
    }

    /** Everything by default but the pause. */
    public static Options withReconnectDelay(Duration reconnectDelay) {
      Duration slow = Duration.ofSeconds(10);
      return new Options(
          reconnectDelay,
          reconnectDelay.compareTo(slow) > 0 ? reconnectDelay : slow,
          Duration.ofSeconds(5),
          Duration.ofSeconds(5),
          Duration.ofSeconds(60),
          2 * 1024 * 1024);
    }
  }

  private final URI primary;
  private final long nodeId;
  private final Set<String> filter;
  private final ChangeSink sink;
  private final Options options;
  private final EventLoopGroup loop =
      new MultiThreadIoEventLoopGroup(
          1, new DefaultThreadFactory("litefs-stream-io", true), NioIoHandler.newFactory());

  private Thread thread;
  private volatile boolean candidate;
  private volatile boolean tailOnly;
  private volatile boolean closed;
  private volatile StreamConnection connection;
  private volatile String problem;
  private String hostname = "";

  /** How often in a row the node has said that it is not the primary. */
  private int refusals;

  /** As the other constructor, with all options but {@code reconnectDelay} at their defaults. */
  public StreamClient(
      URI primary, long nodeId, Set<String> filter, ChangeSink sink, Duration reconnectDelay) {
    this(primary, nodeId, filter, sink, Options.withReconnectDelay(reconnectDelay));
  }

  /**
   * @param primary its advertise URL, {@code http://host:port}
   * @param nodeId this node's id
   * @param filter databases to ask for; empty for all
   * @throws IllegalArgumentException if the URL is not of that form
   */
  public StreamClient(
      URI primary, long nodeId, Set<String> filter, ChangeSink sink, Options options) {
    if (!"http".equalsIgnoreCase(primary.getScheme()) || primary.getHost() == null) {
      throw new IllegalArgumentException(
          "advertise URL \"" + primary + "\" is not of the form http://HOST:PORT");
    }
    this.primary = primary;
    this.nodeId = nodeId;
    this.filter = Set.copyOf(filter);
    this.sink = sink;
    this.options = options;
  }

  /**
   * Tells the primary a name of this node for people, in its status and log. Before {@link #start}.
   */
  public StreamClient named(String name) {
    this.hostname = name;
    return this;
  }

  /** Tells primaries whether this node may become one; to be called before {@link #start}. */
  public StreamClient asCandidate(boolean may) {
    candidate = may;
    return this;
  }

  /**
   * Asks a node that need not be the primary for what continues the transactions here; then the
   * stream ends. For {@link #runOnce}, by a node that is about to lead.
   */
  public StreamClient forTheTail() {
    tailOnly = true;
    return this;
  }

  /** Begins to connect, on its own thread. */
  public synchronized void start() {
    if (thread != null || closed) {
      throw new IllegalStateException("started or closed already");
    }
    thread = new Thread(this::runUntilClosed, "litefs-stream");
    thread.setDaemon(true);
    thread.start();
  }

  /** Why there is no stream at the moment: one line, empty if there is one or none was tried. */
  public Optional<String> problem() {
    return Optional.ofNullable(problem);
  }

  private void runUntilClosed() {
    while (!closed) {
      long pause;
      try {
        runOnce();
        if (!closed) {
          log.info("primary at {} has ended the stream", primary);
        }
        pause = Math.min(AFTER_END_MILLIS, options.reconnectDelay().toMillis());
      } catch (StreamRefusedException e) {
        report(e);
        pause = options.refusedDelay().toMillis();
      } catch (NotPrimaryException e) {
        refusals++;
        if (refusals > QUIET_REFUSALS) {
          report(e);
        }
        pause =
            Math.min(
                SOON_MILLIS << Math.min(refusals - 1, 20), options.reconnectDelay().toMillis());
      } catch (IOException e) {
        report(e);
        pause = options.reconnectDelay().toMillis();
      } catch (RuntimeException e) {
        // A fault of the sink must not end replication for good: the next attempt starts afresh.
        if (!e.toString().equals(problem)) {
          log.error("stream from {} failed", primary, e);
        }
        problem = e.toString();
        pause = options.reconnectDelay().toMillis();
      }
      pause(pause);
    }
  }

  /** The node does not lead: not yet, or not any more. */
  private static final class NotPrimaryException extends IOException {
    private static final long serialVersionUID = 1L;

    NotPrimaryException(String message) {
      super(message);
    }
  }

  private void report(IOException e) {
    String reason = e.getMessage() == null ? e.toString() : e.getMessage();
    if (closed) {
      return;
    }
    if (!reason.equals(problem)) {
      log.warn("no replication from {}: {}", primary, reason);
    }
    problem = reason;
  }

  private synchronized void pause(long millis) {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    try {
      long left = deadline - System.nanoTime();
      while (!closed && left > 0) {
        wait(TimeUnit.NANOSECONDS.toMillis(left) + 1);
        left = deadline - System.nanoTime();
      }
    } catch (InterruptedException e) {
      // Nobody but close() ends this thread.
    }
  }

  /**
   * Connects once and serves the sink until the stream ends. Returns if the primary ended it in an
   * orderly way.
   *
   * @throws StreamRefusedException if trying again soon is of no use
   * @throws IOException if there is no connection, it is lost, or the sink fails
   */
  public void runOnce() throws IOException {
    try (StreamConnection c = connect()) {
      Http2Headers head =
          c.postOpen(target(), requestHeaders(), PositionMap.toBytes(sink.positions()));
      c.body().setTimeout(options.connectTimeout());
      if (!StreamConnection.isSuccess(head)) {
        throw refusal(StreamConnection.status(head), c.body());
      }
      OptionalLong primaryId = NodeId.parse(header(head, NodeId.HEADER));
      if (primaryId.isEmpty()) {
        throw new StreamRefusedException("the answer has no " + NodeId.HEADER + ": no litefs node");
      }
      if (primaryId.getAsLong() == nodeId) {
        throw new StreamRefusedException("the URL leads to this node itself");
      }
      sink.connected(primaryId.getAsLong(), header(head, NodeId.CLUSTER_HEADER));
      String acks = header(head, AckFrame.HEADER);
      if (acks == null) {
        c.endRequest(); // An original primary, which would not read it.
      }
      sink.acknowledgeTo(
          acks == null ? Acknowledger.NONE : new AckSender(c, acks.equals(AckFrame.DURABLE)));
      serve(c.body(), primaryId.getAsLong());
    } finally {
      connection = null;
    }
  }

  private StreamConnection connect() throws IOException {
    StreamConnection c =
        new StreamConnection(loop, primary, options.window(), options.connectTimeout());
    connection = c;
    if (closed) {
      c.close();
      throw new PeerGoneException("closed by this node");
    }
    return c;
  }

  private String target() {
    String base = primary.getRawPath() == null ? "" : primary.getRawPath();
    String path = (base.endsWith("/") ? base.substring(0, base.length() - 1) : base) + "/stream";
    if (filter.isEmpty()) {
      return path;
    }
    return path
        + "?filter="
        + new TreeSet<>(filter)
            .stream()
                .map(name -> URLEncoder.encode(name, StandardCharsets.UTF_8))
                .collect(Collectors.joining(","));
  }

  private Map<String, String> requestHeaders() {
    Map<String, String> headers = new HashMap<>();
    headers.put("litefs-id", NodeId.format(nodeId));
    headers.put(NodeId.CANDIDATE_HEADER, Boolean.toString(candidate));
    if (tailOnly) {
      headers.put(NodeId.TAIL_HEADER, "true");
    }
    headers.put("content-type", "application/octet-stream");
    if (!hostname.isEmpty()) {
      headers.put(StreamHandler.HOSTNAME_HEADER, hostname);
    }
    return headers;
  }

  private static String header(Http2Headers head, String name) {
    CharSequence value = head.get(name.toLowerCase(Locale.ROOT));
    return value == null || value.length() == 0 ? null : value.toString();
  }

  private static IOException refusal(int status, BodyInput body) {
    String line;
    try {
      line = new String(body.readNBytes(MAX_ERROR_LINE), StandardCharsets.UTF_8);
    } catch (IOException e) {
      line = "(no reason given: " + e.getMessage() + ")";
    }
    String reason = status + " " + line.replaceAll("\\s+", " ").strip();
    if (status == 503) {
      return new NotPrimaryException("it answers " + reason);
    }
    boolean temporary = status == 429 || status >= 500;
    return temporary
        ? new IOException("it answers " + reason)
        : new StreamRefusedException("it refuses the stream: " + reason);
  }

  /** Reads frames until the end frame. */
  private void serve(BodyInput body, long primaryId) throws IOException {
    Throwable cause = null;
    refusals = 0;
    try {
      if (problem == null && !tailOnly) {
        log.info("connected to primary {} at {}", NodeId.format(primaryId), primary);
      }
      StreamFrameReader frames = new StreamFrameReader(body);
      body.setTimeout(options.fileTimeout());
      boolean ready = false;
      while (true) {
        StreamFrame frame = frames.next();
        if (frame == null) {
          throw new IOException("the stream stopped without an end frame");
        } else if (frame instanceof StreamFrame.End) {
          return;
        } else if (frame instanceof StreamFrame.Ltx ltx) {
          body.setTimeout(options.fileTimeout());
          sink.ltx(ltx.database(), frames.file());
          frames.skipFile();
        } else if (frame instanceof StreamFrame.Ready) {
          ready = true;
          problem = null;
          log.info("in sync with primary {} at {}", NodeId.format(primaryId), primary);
          sink.ready();
        } else {
          other(frame);
        }
        body.setTimeout(ready ? options.heartbeatTimeout() : options.fileTimeout());
      }
    } catch (BodyInput.SilenceException e) {
      cause = new IOException("primary is silent: " + e.getMessage(), e);
      throw (IOException) cause;
    } catch (IOException | RuntimeException e) {
      cause = e;
      throw e;
    } finally {
      sink.disconnected(cause);
    }
  }

  private void other(StreamFrame frame) throws IOException {
    if (frame instanceof StreamFrame.Heartbeat heartbeat) {
      sink.heartbeat(Instant.ofEpochMilli(heartbeat.millis()));
    } else if (frame instanceof StreamFrame.Drop drop) {
      sink.drop(drop.database());
    } else if (frame instanceof StreamFrame.HighWaterMark mark) {
      sink.highWaterMark(mark.database(), mark.txid());
    } else if (frame instanceof StreamFrame.Handoff handoff) {
      sink.handoff(handoff.leaseId());
    }
  }

  /**
   * Cuts the connection and waits for the thread; a sink that is applying something finishes that,
   * for which up to five seconds are granted. Idempotent; may be called from the sink.
   */
  @Override
  public void close() {
    Thread running;
    synchronized (this) {
      closed = true;
      notifyAll();
      running = thread;
    }
    StreamConnection open = connection;
    if (open != null) {
      open.close();
    }
    if (running != null && running != Thread.currentThread()) {
      try {
        running.join(TimeUnit.SECONDS.toMillis(CLOSE_SECONDS));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      if (running.isAlive()) {
        log.warn("the stream from {} is closed, but a change is still being applied", primary);
      }
    }
    loop.shutdownGracefully(0, CLOSE_SECONDS, TimeUnit.SECONDS);
  }
}

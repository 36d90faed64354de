package io.litefs.replication;

import io.litefs.ltx.Pos;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code POST /stream}: the primary's end of the replication stream. Each replica has a worker
 * thread of the server to itself, so a slow one holds up no other, and never a commit.
 *
 * <p>Refusals: 426 over HTTP/1, 400 for a missing or malformed {@code Litefs-Id}, the node's own
 * id, or a malformed position map, 503 on a node that is not primary.
 */
public final class StreamHandler implements Exchange.Handler, Closeable {
  private static final Logger log = LoggerFactory.getLogger(StreamHandler.class);

  /**
   * Times of the protocol.
   *
   * @param heartbeat how long a stream is silent before a heartbeat is sent
   * @param endTimeout how long a replica has for taking what is on its way when the stream must
   *     end; then it is cut off
   * @param handoffTimeout how long {@link #handoff} waits
   */
  public record Options(Duration heartbeat, Duration endTimeout, Duration handoffTimeout) {
    public static final Options DEFAULTS =
        new Options(Duration.ofSeconds(1), Duration.ofSeconds(5), Duration.ofSeconds(5));
  }

  /**
   * The request header by which a replica tells its name for people (an addition of this
   * implementation).
   */
  public static final String HOSTNAME_HEADER = "litefs-hostname";

  /** Longer names than any system allows are cut. */
  private static final int MAX_HOSTNAME = 255;

  private final ChangeSource source;
  private final long nodeId;
  private final Supplier<String> clusterId;
  private final Options options;
  private final Acknowledgements acknowledgements = new Acknowledgements();
  private volatile boolean durableAcks;
  private final Set<ReplicaStream> streams = ConcurrentHashMap.newKeySet();
  private final Map<FrameKind, LongAdder> frames = new ConcurrentHashMap<>();
  private final LongAdder fileBytes = new LongAdder();
  private final ScheduledThreadPoolExecutor timer;
  private volatile boolean closed;

  /**
   * @param nodeId this node's id
   * @param clusterId this cluster's id, null as long as there is none
   */
  public StreamHandler(
      ChangeSource source, long nodeId, Supplier<String> clusterId, Options options) {
    this.source = source;
    this.nodeId = nodeId;
    this.clusterId = clusterId;
    this.options = options;
    this.timer =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread t = new Thread(task, "litefs-heartbeat");
              t.setDaemon(true);
              return t;
            },
            new ThreadPoolExecutor.DiscardPolicy());
    timer.setRemoveOnCancelPolicy(true);
    timer.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
  }

  /** What the replicas have said that they hold. */
  public Acknowledgements acknowledgements() {
    return acknowledgements;
  }

  /** Asks replicas to acknowledge only what is on their disks; before the first one connects. */
  public void askForDurableAcknowledgements() {
    durableAcks = true;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    if (!exchange.isHttp2()) {
      exchange.setHeader("Upgrade", "h2c");
      exchange.setHeader("Connection", "Upgrade");
      exchange.respondText(426, "the replication stream needs HTTP/2 (prior knowledge)");
      return;
    }
    OptionalLong replica = NodeId.parse(exchange.header(NodeId.HEADER).orElse(null));
    if (replica.isEmpty()) {
      exchange.respondText(400, NodeId.HEADER + " must be 16 hex digits");
      return;
    }
    if (replica.getAsLong() == nodeId) {
      exchange.respondText(400, "node " + NodeId.format(nodeId) + " cannot replicate from itself");
      return;
    }
    boolean tail = exchange.header(NodeId.TAIL_HEADER).map("true"::equals).orElse(false);
    if (closed || !source.isPrimary() && !tail) {
      exchange.respondText(503, "this node is not the primary");
      return;
    }
    Map<String, Pos> positions;
    try {
      positions = PositionMap.read(exchange.body());
    } catch (StreamFormatException | EOFException e) {
      exchange.respondText(400, e.getMessage());
      return;
    }
    serve(exchange, replica.getAsLong(), positions, tail);
  }

  @SuppressWarnings("try") // The heartbeats are only there to be closed.
  private void serve(Exchange exchange, long replica, Map<String, Pos> positions, boolean tail)
      throws IOException {
    exchange.setHeader(NodeId.HEADER, NodeId.format(nodeId));
    String cluster = clusterId.get();
    if (cluster != null && !cluster.isEmpty()) {
      exchange.setHeader(NodeId.CLUSTER_HEADER, cluster);
    }
    Set<String> filter =
        Arrays.stream(exchange.query("filter").orElse("").split(","))
            .filter(name -> !name.isEmpty())
            .collect(Collectors.toUnmodifiableSet());
    exchange.setHeader(AckFrame.HEADER, durableAcks ? AckFrame.DURABLE : AckFrame.RECEIVED);
    OutputStream out = exchange.respond(200, "application/octet-stream", -1);
    String name = NodeId.format(replica);
    String address = exchange.remoteAddress();
    ReplicaStream stream =
        new ReplicaStream(
            source,
            exchange,
            out,
            new ReplicaStream.Peer(replica, hostname(exchange), filter, tail),
            positions,
            options,
            this::count,
            fileBytes::add);
    exchange.onClose(stream::gone);
    streams.add(stream);
    log.info("replica {} connected from {}", name, address);
    acknowledgements.connected(stream, replica, stream::brings);
    readAcknowledgements(exchange, stream);
    String end = "stream ended";
    try (Heartbeats heartbeats = new Heartbeats(stream)) {
      if (closed) {
        stream.close();
      }
      stream.run();
    } catch (PeerGoneException e) {
      end = e.getMessage();
      throw e;
    } catch (IOException | RuntimeException e) {
      end = "stream broken off by an error";
      throw e;
    } finally {
      streams.remove(stream);
      acknowledgements.gone(stream);
      stream.ended();
      log.info("replica {} from {} disconnected: {}", name, address, end);
    }
  }

  private static String hostname(Exchange exchange) {
    String name = exchange.header(HOSTNAME_HEADER).orElse("");
    return name.substring(0, Math.min(name.length(), MAX_HOSTNAME));
  }

  /** Bytes of LTX files sent to all replicas since the start. */
  public long bytesSent() {
    return fileBytes.sum();
  }

  /** On a thread of its own, which ends with the exchange. */
  private void readAcknowledgements(Exchange exchange, ReplicaStream stream) {
    InputStream body = exchange.body();
    if (body instanceof BodyInput input) {
      input.setTimeout(Duration.ZERO); // There may be nothing to acknowledge for days.
      exchange.onClose(() -> input.abort(new PeerGoneException("the stream has ended")));
    }
    Thread reader =
        new Thread(
            () -> {
              try {
                for (AckFrame ack = AckFrame.read(body); ack != null; ack = AckFrame.read(body)) {
                  if (ack.database().isPresent()) {
                    acknowledgements.acknowledged(stream, ack.database().get(), ack.pos());
                  } else {
                    acknowledgements.markInSync(stream);
                  }
                }
              } catch (StreamFormatException e) {
                log.warn("replica {}: {}", NodeId.format(stream.nodeId()), e.getMessage());
                stream.cutOff(e.getMessage());
              } catch (IOException e) {
                log.debug("no more acknowledgements", e); // the stream's own thread says why
              }
            },
            "litefs-acks-" + NodeId.format(stream.nodeId()));
    reader.setDaemon(true);
    reader.start();
  }

  private void count(FrameKind kind) {
    frames.computeIfAbsent(kind, k -> new LongAdder()).increment();
  }

  /** The replicas that are connected now. */
  public List<ReplicaStatus> replicas() {
    return streams.stream().map(ReplicaStream::status).toList();
  }

  /** Frames sent since the start, by database and type. */
  public Map<FrameKind, Long> framesSent() {
    Map<FrameKind, Long> counts = new HashMap<>();
    frames.forEach((kind, count) -> counts.put(kind, count.sum()));
    return counts;
  }

  /**
   * Hands the lease to a connected replica: sends the frame after everything that was committed
   * before, then ends that replica's stream. Blocks until the frame is on its way.
   *
   * @throws IOException if no such replica is connected, or if it has not taken in everything in
   *     time; the frame has not been sent then and will not be
   */
  public void handoff(long replica, String leaseId) throws IOException {
    ReplicaStream newest =
        streams.stream()
            .filter(s -> s.nodeId() == replica)
            .max(Comparator.comparing(ReplicaStream::since))
            .orElseThrow(
                () -> new IOException("node " + NodeId.format(replica) + " is not connected"));
    newest.handoff(leaseId);
  }

  /**
   * Ends all streams with an end frame: those of replicas that were in sync after all that has been
   * committed. Replicas that do not take it in time are cut off. To be called before the server is
   * closed, and while this node is still primary. Idempotent.
   */
  @Override
  public void close() {
    closed = true;
    streams.forEach(ReplicaStream::close);
    timer.shutdown();
    long deadline = System.nanoTime() + options.endTimeout().toNanos();
    for (ReplicaStream stream : streams) {
      if (!stream.awaitEnd(deadline - System.nanoTime())) {
        stream.cutOff("the replica does not read");
      }
    }
  }

  /** The heartbeats of one stream: each due one interval after the last frame. */
  private final class Heartbeats implements AutoCloseable {
    private final ReplicaStream stream;
    private final Runnable task = this::beat;
    private volatile boolean over;

    Heartbeats(ReplicaStream stream) {
      this.stream = stream;
      again(options.heartbeat().toNanos());
    }

    private void beat() {
      if (over) {
        return;
      }
      long next = options.heartbeat().toNanos();
      try {
        next = stream.heartbeat();
      } catch (RuntimeException e) {
        // The timer would forget the task, and the replica then think that we are dead.
        log.error("heartbeat to replica {} failed", NodeId.format(stream.nodeId()), e);
      }
      again(next);
    }

    private void again(long nanos) {
      timer.schedule(task, nanos, TimeUnit.NANOSECONDS);
    }

    @Override
    public void close() {
      over = true;
    }
  }
}

package io.litefs.replication;

import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSource.LtxFile;
import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The stream to one replica. {@link #run} is its thread: it sends what each database lacks,
 * database after database, until none lacks anything, and sleeps until {@link #signal}. A commit
 * costs the committing thread no more than waking it. Heartbeats come from the timer's thread in
 * between.
 */
final class ReplicaStream {

  private static final Logger log = LoggerFactory.getLogger(ReplicaStream.class);

  /** Bytes of one database before the next has its turn. */
  private static final long TURN = 1024 * 1024;

  private static final long LATER_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  /** How long a database is not asked for again that could not be had. */
  private static final long ANYWAY_NANOS = TimeUnit.MINUTES.toNanos(1);

  private static final long AGAIN_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** To find out may mean to read all of it: no more than this part of the time goes into that. */
  private static final int ATTEMPTS_SHARE = 10;

  private final ChangeSource source;
  private final Exchange exchange;
  private final FrameOutput out;
  private final StreamHandler.Options options;

  private final Peer peer;
  private final LongConsumer fileBytes;
  private final Instant since = Instant.now();
  private final Map<String, Pos> sent = new ConcurrentHashMap<>();
  private volatile boolean ready;

  /** The primary's time at which the replica had been sent everything. */
  private volatile long upToDateMillis;

  /** Whether the thread found nothing more to send and sleeps. */
  private volatile boolean idle;

  private final AtomicBoolean signalled = new AtomicBoolean();
  private volatile Thread sender;
  private volatile boolean closing;
  private volatile boolean gone;
  private volatile long demotedNanos;
  private final CountDownLatch ended = new CountDownLatch(1);
  private final HandoffSlot handoff = new HandoffSlot();

  /** What is known of one database; the thread's own. */
  private static final class Progress {
    /** Where the replica will be, ZERO if it has nothing. */
    Pos replica = Pos.ZERO;

    /** The source's position at which a drop frame settled the matter; null if none did. */
    Pos droppedAt;

    /** Whether the replica has, as far as we know, a database of this name. */
    boolean exists;
  }

  private final Map<String, Progress> databases = new TreeMap<>();

  /**
   * A database that the replica needs whole and the source cannot give.
   *
   * @param at where the source was
   * @param older whether the replica has something else of that name, which it keeps
   * @param reason one line
   * @param again when to ask again if the position is another one by then, by {@link
   *     System#nanoTime}
   * @param anyway when to ask again if it is not
   */
  private record Withheld(Pos at, boolean older, String reason, long again, long anyway) {}

  /** The sender's, but for those who look at it. */
  private final Map<String, Withheld> withheld = new ConcurrentHashMap<>();

  /**
   * Who is at the other end.
   *
   * @param nodeId its id
   * @param hostname its name for people; empty if it did not tell one
   * @param filter the databases it wants; empty for all
   * @param tailOnly whether it is a node that is about to lead: it is sent what continues its own
   *     transactions, and databases that it does not know, and then the stream ends
   */
  record Peer(long nodeId, String hostname, Set<String> filter, boolean tailOnly) {

    boolean wants(String database) {
      return filter.isEmpty() || filter.contains(database);
    }

    @Override
    public String toString() {
      String id = NodeId.format(nodeId);
      return hostname.isEmpty() ? id : hostname + " (" + id + ")";
    }
  }

  ReplicaStream(
      ChangeSource source,
      Exchange exchange,
      OutputStream out,
      Peer peer,
      Map<String, Pos> positions,
      StreamHandler.Options options,
      Consumer<FrameKind> counter,
      LongConsumer fileBytes) {
    this.source = source;
    this.exchange = exchange;
    this.out = new FrameOutput(out, counter);
    this.peer = peer;
    this.fileBytes = fileBytes;
    this.options = options;
    positions.forEach(
        (name, pos) -> {
          if (wanted(name)) {
            Progress progress = new Progress();
            progress.replica = pos;
            progress.exists = true;
            databases.put(name, progress);
            sent.put(name, pos);
          }
        });
  }

  private boolean wanted(String database) {
    return peer.wants(database);
  }

  /** Streams until the node is no longer primary, the replica has gone or {@link #close}. */
  @SuppressWarnings("try") // The subscription is only there to be closed.
  void run() throws IOException {
    sender = Thread.currentThread();
    try (Closeable subscription = source.onChange(this::signal)) {
      out.flush(); // The headers tell the replica that it is connected.
      Map<String, Pos> awaited = new HashMap<>();
      for (String name : source.databases()) {
        Pos pos = source.position(name);
        if (wanted(name) && pos != null) {
          awaited.put(name, pos);
        }
      }
      while (true) {
        // Before anything is looked at, so that no change is lost that comes after.
        signalled.set(false);
        if (gone) {
          throw new PeerGoneException("client has gone away");
        }
        if (!mayServe() || closing && !ready) {
          out.end();
          return;
        }
        boolean lacking = pass();
        if (peer.tailOnly()) {
          if (!lacking) {
            out.end();
            return;
          }
          continue;
        }
        if (!ready) {
          ready = reached(awaited);
          if (ready) {
            out.send(new StreamFrame.Ready(), "", "ready");
            heartbeatNow();
          }
        }
        if (!lacking) {
          upToDateMillis =
              signalled.get() || keepsAnOlder() ? upToDateMillis : System.currentTimeMillis();
          if (closing || handOver()) {
            out.end();
            return;
          }
        }
        out.flush();
        if (!lacking) {
          sleep();
        }
      }
    } finally {
      out.close();
      handoff.close();
    }
  }

  private boolean mayServe() {
    return peer.tailOnly() || source.isPrimary();
  }

  /**
   * Whether the replica has been sent what existed when the stream began, as far as it can be had.
   * A replica that hears "ready" takes what it has of each database for the primary's: that must
   * not be said of one that is withheld. If it has none, there is nothing to be mistaken about.
   */
  private boolean reached(Map<String, Pos> awaited) {
    awaited
        .entrySet()
        .removeIf(
            entry -> {
              Progress progress = databases.get(entry.getKey());
              Withheld held = withheld.get(entry.getKey());
              if (held != null) {
                return !held.older();
              }
              return progress == null
                  || progress.replica.txid().compareTo(entry.getValue().txid()) >= 0
                  || progress.droppedAt != null
                  || source.position(entry.getKey()) == null;
            });
    return awaited.isEmpty();
  }

  /** Wakes the sender. Any thread; never blocks. */
  void signal() {
    if (signalled.compareAndSet(false, true)) {
      idle = false;
      LockSupport.unpark(sender);
    }
  }

  private void sleep() {
    idle = true;
    for (long left = untilRetry(); left > 0 && !signalled.get(); left = untilRetry()) {
      LockSupport.parkNanos(this, left);
      Thread.interrupted(); // Nobody interrupts on purpose, and a set flag would make this a loop.
    }
    idle = false;
  }

  /** Nanoseconds until a database that is withheld is to be asked for again. */
  private long untilRetry() {
    long now = System.nanoTime();
    long least = Long.MAX_VALUE;
    for (Map.Entry<String, Withheld> entry : withheld.entrySet()) {
      least = Math.min(least, retryAt(entry.getValue(), source.position(entry.getKey())) - now);
    }
    return least;
  }

  private static long retryAt(Withheld held, Pos here) {
    return held.at().equals(here) ? held.anyway() : held.again();
  }

  /** Gives each database a turn; false if none had anything left to send. */
  private boolean pass() throws IOException {
    for (String name : source.databases()) {
      if (wanted(name)) {
        databases.computeIfAbsent(name, n -> new Progress());
      }
    }
    boolean lacking = false;
    for (Map.Entry<String, Progress> entry : databases.entrySet()) {
      long turn = 0;
      while (turn < TURN && !gone && mayServe()) {
        long bytes =
            peer.tailOnly()
                ? continueTail(entry.getKey(), entry.getValue())
                : advance(entry.getKey(), entry.getValue());
        if (bytes == 0) {
          break;
        }
        turn += bytes;
      }
      lacking |= turn > 0;
    }
    return lacking;
  }

  /** Sends one database's next frame; 0 if there is nothing to send, else about how many bytes. */
  private long advance(String name, Progress progress) throws IOException {
    Pos here = source.position(name);
    if (here == null) {
      withheld.remove(name);
      return progress.exists && !source.isUnavailable(name) ? drop(name, progress, null) : 0;
    }
    if (here.equals(progress.replica) || here.equals(progress.droppedAt)) {
      withheld.remove(name);
      return 0;
    }
    Pos replica = progress.replica;
    boolean behind = replica.txid().value() > 0 && replica.txid().compareTo(here.txid()) < 0;
    if (behind) {
      try (LtxFile file = source.next(name, replica)) {
        if (file != null) {
          return send(name, progress, file, "ltx");
        }
      }
    }
    if (here.txid().value() == 0 && !progress.exists) {
      withheld.remove(name);
      return 0;
    }
    Withheld held = withheld.get(name);
    if (held != null && retryAt(held, here) - System.nanoTime() > 0) {
      return 0;
    }
    out.flush(); // A snapshot may take its time before its first byte.
    long began = System.nanoTime();
    try (LtxFile file = source.snapshot(name)) {
      if (file != null) {
        long bytes = send(name, progress, file, "ltx:snapshot");
        log.info("{}: sent replica {} a snapshot at {}, {} bytes", name, peer, file.pos(), bytes);
        return bytes;
      }
    } catch (WithheldException e) {
      withhold(name, progress, here, e.getMessage(), began);
      return 0;
    }
    withheld.remove(name);
    if (!progress.exists) {
      progress.droppedAt = here;
      return 0;
    }
    return drop(name, progress, here);
  }

  /** The others go on. The replica is told nothing, so it keeps what it has. */
  private void withhold(String name, Progress progress, Pos here, String reason, long began) {
    long now = System.nanoTime();
    long pause = ATTEMPTS_SHARE * (now - began);
    Withheld before =
        withheld.put(
            name,
            new Withheld(
                here,
                progress.exists,
                reason,
                now + Math.max(AGAIN_NANOS, pause),
                now + Math.max(ANYWAY_NANOS, pause)));
    if (before == null) {
      log.warn("{}: it is not sent to replica {}, the others are: {}", name, peer, reason);
    }
  }

  /** Whether the replica has a database that is not as it is here, and stays so. */
  private boolean keepsAnOlder() {
    return withheld.values().stream().anyMatch(Withheld::older);
  }

  /** Sends the transaction that follows, which may be in the log only, or a whole new database. */
  private long continueTail(String name, Progress progress) throws IOException {
    if (source.position(name) == null) {
      return 0;
    }
    try (LtxFile file =
        progress.exists ? source.next(name, progress.replica) : source.snapshot(name)) {
      return file == null ? 0 : send(name, progress, file, "ltx");
    } catch (WithheldException e) {
      log.warn("{}: it is not sent to {}, the others are: {}", name, peer, e.getMessage());
      return 0;
    }
  }

  private long drop(String name, Progress progress, Pos here) throws IOException {
    out.send(new StreamFrame.Drop(name), name, "drop");
    progress.replica = Pos.ZERO;
    progress.droppedAt = here;
    progress.exists = false;
    sent.remove(name);
    return 1;
  }

  private long send(String name, Progress progress, LtxFile file, String type) throws IOException {
    long bytes = out.file(name, file, type);
    fileBytes.accept(bytes);
    if (file.pos().equals(progress.replica)) {
      throw new IOException("a file of " + name + " leads to where the replica was: " + file.pos());
    }
    progress.replica = file.pos();
    progress.droppedAt = null;
    progress.exists = true;
    sent.put(name, file.pos());
    withheld.remove(name);
    return Math.max(bytes, 1);
  }

  private void heartbeatNow() throws IOException {
    upToDateMillis = System.currentTimeMillis();
    out.send(new StreamFrame.Heartbeat(upToDateMillis), "", "heartbeat");
  }

  /**
   * Sends a heartbeat if one is due; never blocks. It says until when the replica has everything,
   * so one that is sent while the thread is held up by the source, or a database is withheld, tells
   * an old time: 0 if there was none.
   *
   * @return nanoseconds until the next call is due
   */
  long heartbeat() {
    cutOffIfDemoted();
    long interval = options.heartbeat().toNanos();
    long due = out.lastFrameNanos() + interval - System.nanoTime();
    if (due > 0) {
      return due;
    }
    try {
      boolean keepsAnOlder = keepsAnOlder();
      long millis = idle && !keepsAnOlder ? System.currentTimeMillis() : upToDateMillis;
      return (ready || keepsAnOlder) && out.tryHeartbeat(millis)
          ? interval
          : Math.min(interval, LATER_NANOS);
    } catch (IOException e) {
      gone(); // The sender finds out for itself and says so.
      return interval;
    }
  }

  /** A replica that does not read must not keep the stream of a former primary open. */
  private void cutOffIfDemoted() {
    if (mayServe()) {
      demotedNanos = 0;
    } else if (demotedNanos == 0) {
      demotedNanos = System.nanoTime();
    } else if (System.nanoTime() - demotedNanos > options.endTimeout().toNanos()) {
      cutOff("no longer primary, and the replica does not read");
    }
  }

  void cutOff(String reason) {
    exchange.abort(reason);
  }

  /**
   * Ends the stream: once the replica has been sent everything if it had been before, so that an
   * orderly shutdown leaves no commit behind; otherwise after the file that is being sent.
   */
  void close() {
    closing = true;
    signal();
  }

  /** The exchange is over. */
  void gone() {
    gone = true;
    signal();
  }

  /** The stream is over and nobody knows it any more. */
  void ended() {
    ended.countDown();
  }

  boolean awaitEnd(long nanos) {
    try {
      return ended.await(nanos, TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** See {@link StreamHandler#handoff}. */
  void handoff(String leaseId) throws IOException {
    Optional<Map.Entry<String, Withheld>> lacking = withheld.entrySet().stream().findFirst();
    if (lacking.isPresent()) {
      throw new IOException(
          "node %s does not have %s as it is here: %s"
              .formatted(
                  NodeId.format(peer.nodeId()),
                  lacking.get().getKey(),
                  lacking.get().getValue().reason()));
    }
    if (!handoff.offer(leaseId, this::signal, options.handoffTimeout())) {
      throw new IOException(
          "node " + NodeId.format(peer.nodeId()) + " has not caught up: the lease stays here");
    }
  }

  /** Sends the handoff frame if one was asked for and nothing came in between. */
  private boolean handOver() throws IOException {
    if (!handoff.isAsked() || signalled.get() || !withheld.isEmpty()) {
      return false;
    }
    out.flush();
    out.awaitRoom(); // Now, so that the frame itself goes without waiting.
    return handoff.sendIfAsked(
        leaseId -> {
          out.send(new StreamFrame.Handoff(leaseId), "", "handoff");
          out.flush();
        });
  }

  long nodeId() {
    return peer.nodeId();
  }

  /** Whether the replica is sent what is committed to the database. */
  boolean brings(String database) {
    return wanted(database) && !withheld.containsKey(database);
  }

  Instant since() {
    return since;
  }

  ReplicaStatus status() {
    return new ReplicaStatus(
        peer.nodeId(),
        peer.hostname(),
        exchange.remoteAddress(),
        since,
        ready,
        peer.filter(),
        exchange
            .header(NodeId.CANDIDATE_HEADER)
            .filter(said -> said.equals("true") || said.equals("false"))
            .map(Boolean::valueOf),
        sent,
        out.fileBytes());
  }
}

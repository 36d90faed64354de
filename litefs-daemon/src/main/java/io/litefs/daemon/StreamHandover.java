package io.litefs.daemon;

import io.litefs.cluster.Handover;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.replication.ReplicaStatus;
import io.litefs.replication.StreamHandler;
import io.litefs.store.CommitPace;
import io.litefs.store.Store;
import java.io.IOException;
import java.time.Duration;
import java.util.Comparator;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Hands the lease over on the stream to a replica, behind all transactions. */
record StreamHandover(StreamHandler streams, Store store, Runnable settling) implements Handover {

  /** Transactions that a node may lack for which writers are made to wait. */
  private static final long NEAR = 1000;

  /**
   * Transactions of a database for which they wait some milliseconds at most: those are on their
   * way always.
   */
  private static final long CLOSE = 4;

  /** How long a node may take to connect, and to be in sync, and again to be that close. */
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(2);

  /** As {@link #CLOSE}, of all databases together. */
  private static final long CLOSE_ALL = 16;

  /** How long a commit waits at most, so that a replica that has died does not stop writers. */
  private static final Duration PACE = Duration.ofMillis(50);

  private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(10);
  private static final long CLOSE_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

  @Override
  public Optional<Long> successor() {
    return streams.replicas().stream()
        .filter(replica -> replica.candidate().orElse(false) && replica.ready())
        .max(Comparator.comparingLong(replica -> sum(replica.positions())))
        .map(ReplicaStatus::nodeId);
  }

  private static long sum(Map<String, Pos> positions) {
    return positions.values().stream().mapToLong(pos -> pos.txid().value()).sum();
  }

  @Override
  public void requireFit(long nodeId) throws IOException {
    // One that was the primary until a moment ago is about to connect.
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    Optional<ReplicaStatus> replica = replica(nodeId);
    while (!replica.map(ReplicaStatus::ready).orElse(false) && System.nanoTime() - deadline < 0) {
      LockSupport.parkNanos(PAUSE_NANOS);
      replica = replica(nodeId);
    }
    requireFit(
        replica.orElseThrow(() -> new IOException("node %016X is not connected".formatted(nodeId))),
        sum(store.receivedPositions()));
  }

  /** What has been sent may be lying in buffers: only what the node says counts. */
  @Override
  public Pace keepClose(long nodeId) {
    store.pace(
        (database, last) ->
            streams
                .acknowledgements()
                .awaitNode(nodeId, database, new Txid(Math.max(0, last.value() - CLOSE)), PACE));
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (notTakenIn(nodeId) > CLOSE_ALL && System.nanoTime() - deadline < 0) {
      LockSupport.parkNanos(CLOSE_PAUSE_NANOS);
    }
    return () -> store.pace(CommitPace.FREE);
  }

  /** Of all databases. A node of another implementation does not say what it has. */
  private long notTakenIn(long nodeId) {
    long count = 0;
    for (Map.Entry<String, Pos> held : streams.acknowledgements().positions(nodeId).entrySet()) {
      Pos here = store.position(held.getKey());
      if (here != null) {
        count += Math.max(0, here.txid().value() - held.getValue().txid().value());
      }
    }
    return count;
  }

  private Optional<ReplicaStatus> replica(long nodeId) {
    return streams.replicas().stream()
        .filter(r -> r.nodeId() == nodeId)
        .max(Comparator.comparing(ReplicaStatus::since));
  }

  /** A node of another implementation does not say whether it is a candidate. */
  static void requireFit(ReplicaStatus replica, long here) throws IOException {
    long nodeId = replica.nodeId();
    if (!replica.candidate().orElse(true)) {
      throw new IOException(
          "node %016X is no candidate; set lease.candidate: true there, or hand over to another"
              .formatted(nodeId));
    }
    long behind = here - sum(replica.positions());
    if (!replica.ready() || behind > NEAR) {
      throw new IOException(
          "node %016X is %d transactions behind; try again once it is in sync"
              .formatted(nodeId, Math.max(behind, 0)));
    }
  }

  @Override
  public void settle() {
    settling.run();
  }

  @Override
  public void send(long nodeId, String leaseId) throws IOException {
    streams.handoff(nodeId, leaseId);
  }
}

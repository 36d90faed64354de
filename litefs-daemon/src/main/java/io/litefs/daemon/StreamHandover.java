package io.litefs.daemon;

import io.litefs.cluster.Handover;
import io.litefs.ltx.Pos;
import io.litefs.replication.ReplicaStatus;
import io.litefs.replication.StreamHandler;
import io.litefs.store.Store;
import java.io.IOException;
import java.util.Comparator;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Hands the lease over on the stream to a replica, behind all transactions. */
record StreamHandover(StreamHandler streams, Store store, Runnable settling) implements Handover {

  /** Transactions that are sent in a few milliseconds, while writers wait. */
  private static final long NEAR = 1000;

  /** How long a node may take to connect, and to be in sync. */
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(2);

  private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

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

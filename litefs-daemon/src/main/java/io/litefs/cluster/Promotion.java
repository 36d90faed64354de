package io.litefs.cluster;

import io.litefs.lease.Leaser;
import io.litefs.lease.PrimaryInfo;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Asks the primary for the lease, and sees to it that a candidate could take it. Thread-safe. */
final class Promotion {

  /** How long a node that is to be promoted may take to find a primary that it can ask. */
  private static final Duration CONNECTION_LIMIT = Duration.ofSeconds(2);

  /** How long a rehearsal that is under way may hold a promotion up. */
  private static final Duration REHEARSAL_LIMIT = Duration.ofSeconds(5);

  /** How long it may take from the primary's consent until this node leads. */
  private static final Duration LIMIT = Duration.ofSeconds(10);

  private static final Logger log = LoggerFactory.getLogger(Promotion.class);

  private final Leaser leaser;
  private final Peers peers;
  private final ClusterOptions options;
  private final CurrentRole role;

  /** Down when this node stops. */
  private final CountDownLatch closed;

  private final AtomicBoolean begun = new AtomicBoolean();
  private final CountDownLatch rehearsed = new CountDownLatch(1);

  Promotion(
      Leaser leaser, Peers peers, ClusterOptions options, CurrentRole role, CountDownLatch closed) {
    this.leaser = leaser;
    this.peers = peers;
    this.options = options;
    this.role = role;
    this.closed = closed;
  }

  /** See {@link Cluster#promote}. */
  void promote() throws IOException {
    if (!options.candidate()) {
      throw new NoCandidateException();
    }
    // One that has just been demoted, or whose primary has, is about to know the next.
    role.await(now -> now.isPrimary() || now.primary().isPresent(), CONNECTION_LIMIT);
    RoleState now = role.state();
    if (now.isPrimary()) {
      return;
    }
    PrimaryInfo primary =
        now.primary().orElseThrow(() -> new IOException("this node is not connected to a primary"));
    // Before writers are made to wait: this node gets through to who gives the lease.
    awaitRehearsal();
    leaser.primary();
    peers.askForLease(primary.advertiseUrl());
    if (!role.await(RoleState::isPrimary, LIMIT)) {
      throw new IOException(
          "the primary has handed over, but this node does not lead; see its log");
    }
  }

  /** This node has all that the primary has. What that asks for is done once, on another thread. */
  void inSync() {
    if (options.candidate() && options.elected() && begun.compareAndSet(false, true)) {
      Thread thread = new Thread(this::prepare, "litefs-promote");
      thread.setDaemon(true);
      thread.start();
    }
  }

  private void awaitRehearsal() throws IOException {
    if (!begun.get()) {
      return;
    }
    try {
      rehearsed.await(REHEARSAL_LIMIT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private void prepare() {
    try {
      leaser.rehearse();
    } catch (IOException | RuntimeException e) {
      if (closed.getCount() > 0) {
        log.warn("this node could not take over the lease: {}", e.getMessage());
      }
    } finally {
      rehearsed.countDown();
    }
    if (!options.promote()) {
      return;
    }
    try {
      promote();
    } catch (IOException e) {
      log.warn("lease.promote: not promoted: {}", e.getMessage());
    }
  }
}

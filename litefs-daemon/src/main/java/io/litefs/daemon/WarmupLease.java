package io.litefs.daemon;

import io.litefs.lease.Lease;
import io.litefs.lease.Leaser;
import io.litefs.lease.PrimaryInfo;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * A lease that nodes of one process hand to each other, so that {@link Warmup} needs no Consul.
 * Thread-safe.
 */
final class WarmupLease {

  /** Null if nobody does. */
  private PrimaryInfo holder;

  /** This lease as the node sees it. */
  Leaser of(PrimaryInfo self) {
    return new Member(self);
  }

  private synchronized void heldBy(PrimaryInfo next) {
    holder = next;
    notifyAll();
  }

  private synchronized Optional<PrimaryInfo> holder() {
    return Optional.ofNullable(holder);
  }

  private synchronized void await(BooleanSupplier condition, Duration timeout)
      throws InterruptedException {
    long deadline = System.nanoTime() + timeout.toNanos();
    long left = timeout.toMillis();
    while (!condition.getAsBoolean() && left > 0) {
      wait(left);
      left = (deadline - System.nanoTime()) / 1_000_000;
    }
  }

  private final class Member implements Leaser {

    private final PrimaryInfo self;
    private volatile boolean closed;

    Member(PrimaryInfo self) {
      this.self = self;
    }

    @Override
    public Optional<Lease> acquire() {
      synchronized (WarmupLease.this) {
        if (holder != null) {
          return Optional.empty();
        }
        heldBy(self);
        return Optional.of(new Held());
      }
    }

    @Override
    public Lease takeOver(String leaseId) {
      heldBy(self);
      return new Held();
    }

    @Override
    public Optional<PrimaryInfo> primary() {
      return holder();
    }

    @Override
    public Optional<PrimaryInfo> awaitPrimaryOtherThan(
        Optional<PrimaryInfo> known, Duration timeout) throws InterruptedException {
      await(() -> closed || !holder().equals(known), timeout);
      return closed ? known : holder();
    }

    @Override
    public Optional<String> clusterId() {
      return Optional.empty();
    }

    @Override
    public String establishClusterId(String proposed) {
      return proposed;
    }

    @Override
    public void announce() {
      // Who is asked is in the same process.
    }

    @Override
    public Set<URI> peers() {
      return Set.of();
    }

    @Override
    public void close() {
      synchronized (WarmupLease.this) {
        closed = true;
        WarmupLease.this.notifyAll();
      }
    }
  }

  private final class Held implements Lease {

    private volatile boolean over;

    @Override
    public String id() {
      return "warmup";
    }

    @Override
    public Optional<Duration> timeToLive() {
      return Optional.empty();
    }

    @Override
    public Optional<Duration> remaining() {
      return Optional.empty();
    }

    @Override
    public Duration overdue() {
      return Duration.ZERO;
    }

    @Override
    public boolean isHeld() {
      return !over;
    }

    @Override
    public Optional<String> awaitEnd(Duration timeout) throws InterruptedException {
      await(() -> over, timeout);
      return over ? Optional.of("it was handed over") : Optional.empty();
    }

    @Override
    public String handOff() {
      synchronized (WarmupLease.this) {
        over = true;
        WarmupLease.this.notifyAll();
      }
      return id();
    }

    @Override
    public void close() {
      if (isHeld()) {
        handOff();
        heldBy(null);
      }
    }
  }
}

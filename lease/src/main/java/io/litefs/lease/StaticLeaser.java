package io.litefs.lease;

import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A lease that the configuration has given away for ever: the one candidate is the primary, all
 * other nodes know its address. Nothing keeps two nodes from both being configured as the
 * candidate; there is no cluster id to notice it by.
 */
public final class StaticLeaser implements Leaser {
  private final boolean candidate;
  private final PrimaryInfo primary;
  private final CountDownLatch closed = new CountDownLatch(1);

  /**
   * A static lease.
   *
   * @param candidate whether this node is the primary
   * @param primary what the other nodes know of the primary
   */
  public StaticLeaser(boolean candidate, PrimaryInfo primary) {
    this.candidate = candidate;
    this.primary = primary;
  }

  @Override
  public Optional<Lease> acquire() {
    return candidate ? Optional.of(new StaticLease()) : Optional.empty();
  }

  @Override
  public Lease takeOver(String leaseId) throws LeaseException {
    throw cannotChangeHands();
  }

  /** Always the configured primary, whether or not it is up. */
  @Override
  public Optional<PrimaryInfo> primary() {
    return Optional.of(primary);
  }

  @Override
  public Optional<PrimaryInfo> awaitPrimaryOtherThan(Optional<PrimaryInfo> known, Duration timeout)
      throws InterruptedException {
    if (!known.equals(primary())) {
      return primary();
    }
    // Nothing but close() ends this wait early: a static primary never changes.
    closed.await(timeout.toNanos(), TimeUnit.NANOSECONDS);
    return known;
  }

  /** Always empty: a static lease has no place for it. */
  @Override
  public Optional<String> clusterId() {
    return Optional.empty();
  }

  /**
   * Always {@code proposed}: each node keeps the id in its own data directory, replicas adopt the
   * primary's.
   */
  @Override
  public String establishClusterId(String proposed) {
    return proposed;
  }

  /** A static lease is never taken, so nobody asks. */
  @Override
  public void announce() {
    // Nothing to do.
  }

  /** Always empty. */
  @Override
  public Set<URI> peers() {
    return Set.of();
  }

  @Override
  public void close() {
    closed.countDown();
  }

  private static LeaseException cannotChangeHands() {
    return new LeaseException(
        "a static lease cannot be handed over; change lease.candidate on the nodes and restart them,"
            + " or use lease.type: consul");
  }

  private final class StaticLease implements Lease {
    private final CountDownLatch given = new CountDownLatch(1);

    @Override
    public String id() {
      return "static";
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
      return given.getCount() > 0;
    }

    @Override
    public Optional<String> awaitEnd(Duration timeout) throws InterruptedException {
      return given.await(timeout.toNanos(), TimeUnit.NANOSECONDS)
          ? Optional.of("it was given back")
          : Optional.empty();
    }

    @Override
    public String handOff() throws LeaseException {
      throw cannotChangeHands();
    }

    /** Nobody else may have it. */
    @Override
    public void close() {
      given.countDown();
    }
  }
}

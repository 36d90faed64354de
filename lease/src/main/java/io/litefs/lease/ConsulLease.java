package io.litefs.lease;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A lease in Consul. One thread renews it, another watches the key, so that it is noticed at once
 * if Consul or somebody with its command line gives it to another.
 */
final class ConsulLease implements Lease {

  private static final Logger log = LoggerFactory.getLogger(ConsulLease.class);
  private static final Duration RETRY = Duration.ofSeconds(1);
  private static final Duration CLOSE_PATIENCE = Duration.ofSeconds(1);

  private final ConsulApi api;
  private final ConsulOptions options;
  private final String key;
  private final String session;
  private final Thread renewer = new Thread(this::renewAgainAndAgain, "litefs-lease");
  private final Thread watcher = new Thread(this::watch, "litefs-lease-watch");

  /** Until when the lease is ours, as {@link System#nanoTime} counts. */
  private volatile long deadlineNanos;

  private volatile boolean over;

  /** Held during a renewal: after a hand-off the session is another node's, under the same id. */
  private final ReentrantLock renewing = new ReentrantLock();

  // Guarded by this.
  private String endReason;
  private boolean closed;

  /**
   * Version of the key as we wrote it last. Guarded by {@link #renewing}, as is {@link #renewal}.
   */
  private long index;

  private long renewal;
  private volatile String problem = "";

  /**
   * @param key what the session has locked
   * @param sentNanos when the request was sent that made or renewed the session
   * @param index version of the key, negative if it is not known
   * @param renewal what the key's value counts on from
   */
  ConsulLease(
      ConsulApi api,
      ConsulOptions options,
      String key,
      String session,
      long sentNanos,
      long index,
      long renewal) {
    this.api = api;
    this.options = options;
    this.key = key;
    this.session = session;
    this.index = index;
    this.renewal = renewal;
    this.deadlineNanos = sentNanos + options.ttl().toNanos();
    renewer.setDaemon(true);
    watcher.setDaemon(true);
    renewer.start();
    watcher.start();
  }

  @Override
  public String id() {
    return session;
  }

  @Override
  public Optional<Duration> timeToLive() {
    return Optional.of(options.ttl());
  }

  @Override
  public Optional<Duration> remaining() {
    return Optional.of(Duration.ofNanos(over ? 0 : Math.max(0, deadlineNanos - System.nanoTime())));
  }

  @Override
  public Duration overdue() {
    return Duration.ofNanos(Math.max(0, System.nanoTime() - deadlineNanos));
  }

  @Override
  public boolean isHeld() {
    return !over && deadlineNanos - System.nanoTime() > 0;
  }

  @Override
  public synchronized Optional<String> awaitEnd(Duration timeout) throws InterruptedException {
    long until = System.nanoTime() + timeout.toNanos();
    while (true) {
      if (!over && !isHeld()) {
        end(
            "it was not renewed for "
                + options.ttl().toMillis()
                + " ms"
                + (problem.isEmpty() ? "" : ": " + problem));
      }
      if (over) {
        return Optional.of(endReason);
      }
      long now = System.nanoTime();
      long left = Math.min(until - now, deadlineNanos - now);
      if (until - now <= 0) {
        return Optional.empty();
      }
      // Rounded up: a wait of 0 would be for ever.
      wait(Math.max(0, TimeUnit.NANOSECONDS.toMillis(left)) + 1);
    }
  }

  private synchronized void end(String reason) {
    if (!over) {
      over = true;
      endReason = reason;
      notifyAll();
    }
  }

  // ------------------------------------------------------------ renewing

  private void renewAgainAndAgain() {
    try {
      Duration pause = untilDue();
      while (awaitEnd(pause).isEmpty()) {
        renewing.lock();
        try {
          pause = over || !untilDue().isZero() ? untilDue() : tryToRenew();
        } finally {
          renewing.unlock();
        }
      }
    } catch (InterruptedException e) {
      log.debug("the lease is closed");
    }
  }

  private Duration untilDue() {
    long due = deadlineNanos - options.ttl().toNanos() / 2;
    return Duration.ofNanos(Math.max(0, due - System.nanoTime()));
  }

  /** Returns how long to wait before the next attempt. */
  private Duration tryToRenew() {
    Duration half = options.ttl().dividedBy(2);
    try {
      renewOnce();
      return untilDue();
    } catch (LeaseException e) {
      log.debug("the lease has ended", e);
    } catch (IOException e) {
      if (problem.isEmpty() && !over) {
        log.warn(
            "cannot renew the lease: {}; it ends in {} ms",
            e.getMessage(),
            TimeUnit.NANOSECONDS.toMillis(Math.max(0, deadlineNanos - System.nanoTime())));
      }
      problem = e.getMessage();
    } catch (RuntimeException e) {
      log.error("cannot renew the lease", e);
      problem = e.toString();
    }
    return half.compareTo(RETRY) < 0 ? half.dividedBy(2) : RETRY;
  }

  /** Caller holds {@link #renewing}. */
  private void renewOnce() throws IOException {
    long sent = System.nanoTime();
    try {
      renew();
    } catch (LeaseException e) {
      end(e.getMessage());
      throw e;
    }
    synchronized (this) {
      if (isHeld()) {
        deadlineNanos = sent + options.ttl().toNanos();
        if (!problem.isEmpty()) {
          log.info("the lease could be renewed again");
        }
        problem = "";
      }
    }
  }

  @Override
  public void renewNow() throws IOException {
    awaitRenewal();
    try {
      requireHeld();
      renewOnce();
      requireHeld(); // It may have taken too long.
    } finally {
      renewing.unlock();
    }
  }

  private void requireHeld() throws LeaseException {
    if (!isHeld()) {
      throw new LeaseException("the lease has ended");
    }
  }

  /** Takes {@link #renewing}. */
  private void awaitRenewal() throws IOException {
    boolean idle = false;
    try {
      idle = renewing.tryLock(CLOSE_PATIENCE.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (!idle) {
      throw new IOException("Consul does not answer");
    }
  }

  private void renew() throws IOException {
    if (!api.renewSession(session)) {
      throw new LeaseException("its session has ended in Consul");
    }
    renewal++;
    String value = new Holder(options.self(), timeToLive(), renewal).toJson();
    if (index < 0 || !api.rewrite(key, index, value, session)) {
      // An answer may have been lost, or somebody edited the value: only the session decides.
      ConsulApi.Entry present = requireOurs(api.read(key));
      if (!api.rewrite(key, present.index(), value, session)) {
        throw new IOException("key " + key + " is being changed by others");
      }
    }
    index = requireOurs(api.read(key)).index();
  }

  private ConsulApi.Entry requireOurs(ConsulApi.Read read) throws LeaseException {
    return read.entry()
        .filter(e -> e.session().equals(Optional.of(session)))
        .orElseThrow(
            () ->
                new LeaseException(
                    "key "
                        + key
                        + " is "
                        + read.entry()
                            .flatMap(e -> Holder.parse(e.value()))
                            .map(h -> "held by " + h.info().hostname())
                            .orElse("not held")
                        + " now"));
  }

  private void watch() {
    ConsulApi.Read read = null;
    while (!over) {
      try {
        read = read == null ? api.read(key) : api.awaitChange(key, read, ConsulApi.LONGEST_WAIT);
        requireOurs(read);
      } catch (LeaseException e) {
        end(e.getMessage());
      } catch (IOException e) {
        read = null;
        pause();
      } catch (RuntimeException e) {
        log.error("cannot watch the lease", e);
        pause();
      }
    }
  }

  private void pause() {
    try {
      awaitEnd(RETRY);
    } catch (InterruptedException e) {
      end("closed");
    }
  }

  // ------------------------------------------------------------ its end

  @Override
  public String handOff() throws IOException {
    awaitRenewal();
    try {
      synchronized (this) {
        requireHeld();
        closed = true;
        end("it was handed over");
        return session;
      }
    } finally {
      renewing.unlock();
    }
  }

  @Override
  public void close() throws IOException {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      end("it was given back");
    }
    // A renewal that is under way must not come after the end.
    try {
      renewer.join(CLOSE_PATIENCE.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    api.deleteLocked(key, session);
    api.destroySession(session);
  }
}

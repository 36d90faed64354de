package io.litefs.daemon;

import io.litefs.config.LeaseConfig;
import io.litefs.ltx.Pos;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.replication.Acknowledgements;
import io.litefs.store.CommitSync;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Commits wait for {@code lease.sync-replicas} replicas.
 *
 * <p>{@code on-timeout: fail}: a commit begins only when so many are in sync, and fails without a
 * trace if they are not within the timeout. If they then do not acknowledge it in time it fails
 * too, and is taken back by another transaction. What nothing could take back waits and stays.
 *
 * <p>{@code on-timeout: continue}: a commit that was not acknowledged in time returns all the same,
 * and those after it do not wait at all until replicas have caught up: one that has died must not
 * cost each commit the timeout.
 */
final class SynchronousCommits implements CommitSync {

  private static final Logger log = LoggerFactory.getLogger(SynchronousCommits.class);

  private final Acknowledgements acknowledgements;
  private final int replicas;
  private final Duration timeout;
  private final boolean fails;

  /** By database, what replicas have to reach before commits wait again. */
  private final Map<String, Pos> missed = new ConcurrentHashMap<>();

  SynchronousCommits(LeaseConfig lease, Acknowledgements acknowledgements) {
    this.acknowledgements = acknowledgements;
    this.replicas = lease.syncReplicas();
    this.timeout = lease.syncTimeout();
    this.fails = lease.onTimeout() == LeaseConfig.OnTimeout.FAIL;
  }

  @Override
  public void before(String database) throws ErrnoException {
    try {
      if (fails && !acknowledgements.awaitInSync(database, replicas, timeout)) {
        log.error(
            "{}: a commit fails: {} of {} replicas are in sync (lease.sync-replicas)",
            database,
            acknowledgements.inSync(database),
            replicas);
        throw new ErrnoException(Errno.EIO, database + ": too few replicas are in sync");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ErrnoException(Errno.EINTR, database + ": interrupted");
    }
  }

  @Override
  public boolean mayFail() {
    return fails;
  }

  @Override
  public boolean await(String database, Pos pos) {
    try {
      if (fails) {
        return awaitOrFail(database, pos);
      }
      awaitUnlessBehind(database, pos);
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return !fails;
    }
  }

  @Override
  public void awaitIrrevocable(String database, Pos pos) {
    try {
      if (!fails) {
        awaitUnlessBehind(database, pos);
      } else if (!acknowledgements.await(database, pos, replicas, timeout)) {
        log.warn(
            "{}: transaction {} is kept although {} of {} replicas have it after {} ms: it replaces "
                + "or removes what could not be brought back",
            database,
            pos.txid(),
            acknowledgements.count(database, pos),
            replicas,
            timeout.toMillis());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public int missing(String database) {
    Pos behind = missed.get(database);
    int there =
        behind == null
            ? acknowledgements.inSync(database)
            : acknowledgements.count(database, behind);
    return Math.max(0, replicas - there);
  }

  private boolean awaitOrFail(String database, Pos pos) throws InterruptedException {
    if (acknowledgements.await(database, pos, replicas, timeout)) {
      return true;
    }
    log.error(
        "{}: the commit of transaction {} fails: {} of {} replicas have it after {} ms",
        database,
        pos.txid(),
        acknowledgements.count(database, pos),
        replicas,
        timeout.toMillis());
    return false;
  }

  private void awaitUnlessBehind(String database, Pos pos) throws InterruptedException {
    Pos behind = missed.get(database);
    if (missing(database) == 0 && acknowledgements.await(database, pos, replicas, timeout)) {
      if (behind != null) {
        missed.remove(database);
        log.info("{}: commits are synchronous again, from transaction {}", database, pos.txid());
      }
      return;
    }
    if (behind == null) {
      log.warn(
          "{}: {} of {} replicas have transaction {}: commits do not wait for replicas until they "
              + "have caught up",
          database,
          acknowledgements.count(database, pos),
          replicas,
          pos.txid());
    }
    missed.put(database, pos);
  }
}

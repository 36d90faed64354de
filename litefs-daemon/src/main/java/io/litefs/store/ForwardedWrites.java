package io.litefs.store;

import io.litefs.ltx.Pos;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The databases of a replica that may be written to for a while, because their halt lock is held
 * for this node. One holder per database at a time; others wait.
 *
 * <p>Thread-safe. {@link #acquire} and {@link #release} wait for the primary; not for threads that
 * handle requests of the mount of databases.
 */
public final class ForwardedWrites {

  private static final Logger logger = LoggerFactory.getLogger(ForwardedWrites.class);

  /** A lock is renewed this long before it would expire, at first. */
  private static final long RENEW_SECONDS = HaltSession.TTL.toSeconds() / 3;

  /** What is left of a new lock's time, at least, when the database has reached its position. */
  private static final Duration MARGIN = Duration.ofSeconds(10);

  private static final Duration SETTLE_PATIENCE = Duration.ofMillis(500);

  private final Store store;
  private final SecureRandom random = new SecureRandom();

  /** By database; a session stays until the database is the daemon's again. Guarded by itself. */
  private final Map<String, HaltSession> sessions = new HashMap<>();

  private volatile WriteForwarder forwarder;

  ForwardedWrites(Store store) {
    this.store = store;
  }

  /** Says how the primary is reached; before that nothing can be acquired. */
  public void connect(WriteForwarder to) {
    forwarder = to;
  }

  /**
   * Takes the halt lock of a database, so that applications on this node can write to it. It is
   * renewed until {@link #release}.
   *
   * @param patience how long to wait for another holder on this node
   * @throws HaltRefusedException if the lock is not to be had
   * @throws IOException if the primary cannot be reached, or this node does not catch up with it
   */
  public HaltSession acquire(String name, Duration patience)
      throws IOException, InterruptedException {
    WriteForwarder to = forwarder;
    Database database = store.find(name);
    if (database == null || !database.state().exists()) {
      throw new HaltRefusedException(
          HaltRefusedException.Reason.NO_DATABASE, "no such database: " + name);
    }
    if (to == null || store.isPrimary()) {
      throw new HaltRefusedException(
          HaltRefusedException.Reason.NOT_PRIMARY,
          name + ": this node has no primary to write through");
    }
    long id = random.nextLong() & Long.MAX_VALUE;
    long asked;
    HaltSession session;
    synchronized (sessions) {
      long end = System.nanoTime() + patience.toNanos();
      while (sessions.containsKey(name)) {
        long millis = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
        if (millis <= 0) {
          throw new HaltRefusedException(
              HaltRefusedException.Reason.BUSY,
              name + ": another process on this node has its halt lock");
        }
        sessions.wait(millis);
      }
      asked = System.nanoTime();
      session =
          new HaltSession(
              name, id, store.nodeId(), to, asked + HaltSession.TTL.toNanos(), this::ended);
      sessions.put(name, session);
    }
    boolean granted = false;
    boolean begun = false;
    try {
      Pos pos = to.halt(name, id);
      granted = true;
      await(database, pos, asked);
      store.replica(name).handOver(session, pos);
      begun = true;
    } finally {
      if (!begun) {
        forget(session);
        if (granted) {
          giveBack(session);
        }
      }
    }
    store.kernelCache().invalidateAttributes(name);
    renewLater(session);
    logger.info("{}: this node has the halt lock and may write, from {}", name, database.pos());
    return session;
  }

  private static void await(Database database, Pos pos, long asked)
      throws IOException, InterruptedException {
    long left = HaltSession.TTL.minus(MARGIN).toNanos() - Math.max(0, System.nanoTime() - asked);
    if (!database.awaitTxid(pos.txid(), Duration.ofNanos(Math.max(0, left)))
        || !database.pos().equals(pos)) {
      throw new StoreException(
          "%s: this node is at %s and has not reached the primary's %s"
              .formatted(database.name(), database.pos(), pos));
    }
  }

  /**
   * Gives the lock back; returns once the primary's applications can write again, or the primary
   * cannot be reached. What was written and not committed is undone. Idempotent.
   */
  public void release(HaltSession session) {
    session.end("");
    settle(session);
    giveBack(session);
  }

  private void giveBack(HaltSession session) {
    try {
      forwarder.release(session.database(), session.id());
    } catch (IOException e) {
      logger.debug("{}: the halt lock will expire: {}", session.database(), e.getMessage());
    }
  }

  private void renewLater(HaltSession session) {
    store.inBackgroundAfter(
        RENEW_SECONDS,
        TimeUnit.SECONDS,
        () -> {
          if (session.isActive()) {
            session.renew();
            renewLater(session);
          }
        });
  }

  /** Called by a session that ends, on any thread. */
  private void ended(HaltSession session) {
    store.kernelCache().later(() -> store.kernelCache().invalidateAttributes(session.database()));
    store.inBackground(() -> settle(session));
    if (!session.reason().isEmpty()) {
      // The primary may not know that it is over.
      store.inBackground(() -> giveBack(session));
    }
  }

  /** Makes the database the daemon's again, now or as soon as applications let it. */
  private void settle(HaltSession session) {
    synchronized (sessions) {
      if (sessions.get(session.database()) != session) {
        return;
      }
    }
    boolean settled;
    try {
      settled = store.replica(session.database()).settle(SETTLE_PATIENCE);
    } catch (IOException | RuntimeException e) {
      logger.error("{}: cannot end writing here: {}", session.database(), e.getMessage());
      settled = false;
    }
    if (settled && forget(session)) {
      logger.info("{}: this node has given the halt lock back", session.database());
    } else if (!settled) {
      store.inBackgroundAfter(1, TimeUnit.SECONDS, () -> settle(session));
    }
  }

  private boolean forget(HaltSession session) {
    synchronized (sessions) {
      boolean found = sessions.remove(session.database(), session);
      sessions.notifyAll();
      return found;
    }
  }

  /** This node follows no primary any more: nothing can be sent. */
  void endAll(String why) {
    Map<String, HaltSession> all;
    synchronized (sessions) {
      all = new HashMap<>(sessions);
    }
    all.values().forEach(session -> session.end(why));
  }

  /** Applications may write to every database from now on. */
  void becamePrimary() {
    endAll("this node is the primary now");
    synchronized (sessions) {
      sessions.clear();
      sessions.notifyAll();
    }
  }
}

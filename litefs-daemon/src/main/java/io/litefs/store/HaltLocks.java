package io.litefs.store;

import io.litefs.ltx.Pos;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The halt locks that a primary has given to replicas (formats.md, "Halt lock"). While one is held,
 * the database's write locks are the daemon's: applications here wait or are told {@code
 * SQLITE_BUSY}, readers go on, and the holder's transactions are applied as on a replica.
 *
 * <p>Thread-safe; the methods block for the database's applications, seconds at most.
 */
public final class HaltLocks {

  /** How long {@link #acquire} waits for writers and other holders, and applying for readers. */
  static final Duration PATIENCE = Duration.ofSeconds(10);

  /**
   * A lock that was given.
   *
   * @param pos the database's position; only the holder moves it
   * @param expires when it ends unless it is renewed
   */
  public record Grant(long id, Pos pos, Instant expires) {}

  private final Store store;
  private final Map<String, HaltLock> locks = new ConcurrentHashMap<>();

  HaltLocks(Store store) {
    this.store = store;
  }

  /**
   * Takes a database's halt lock, or renews it for its holder.
   *
   * @throws HaltRefusedException if there is no such database here, this node is not the primary,
   *     or the lock is not to be had
   */
  public Grant acquire(String name, long id) throws IOException, InterruptedException {
    return lock(name).acquire(id);
  }

  /** Gives it back; nothing happens if {@code id} does not have it. */
  public void release(String name, long id) throws IOException {
    HaltLock lock = locks.get(name);
    if (lock != null) {
      lock.release(id);
    }
  }

  /**
   * Applies a transaction of the holder: it is in the log, on disk, and visible here when this
   * returns. One that is in the log already is accepted again.
   *
   * @param file an LTX file of one transaction
   * @throws HaltRefusedException if the caller does not have the lock, or the transaction does not
   *     follow
   * @throws io.litefs.ltx.LtxException if the file is damaged
   */
  public void apply(String name, long id, InputStream file) throws IOException {
    lock(name).apply(id, file);
  }

  private HaltLock lock(String name) throws HaltRefusedException {
    if (!store.isPrimary()) {
      throw new HaltRefusedException(
          HaltRefusedException.Reason.NOT_PRIMARY, "this node is not the primary");
    }
    Database database = store.find(name);
    if (database == null || database.pos().equals(Pos.ZERO)) {
      throw new HaltRefusedException(
          HaltRefusedException.Reason.NO_DATABASE, "no such database: " + name);
    }
    return locks.compute(
        name,
        (key, lock) ->
            lock != null && lock.database() == database ? lock : new HaltLock(store, database));
  }

  /** This node is no longer the primary: nobody has a lock any more. */
  void endAll() {
    locks.values().forEach(HaltLock::end);
  }
}

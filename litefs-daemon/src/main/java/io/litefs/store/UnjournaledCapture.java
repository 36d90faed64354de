package io.litefs.store;

import io.litefs.fuse.KeeperFile;
import io.litefs.fuse.LockType;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.LockBytes;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sees the end of a transaction that no journal and no sync tells of ({@code journal_mode} {@code
 * MEMORY} or {@code OFF} with {@code synchronous=OFF}): its writer lets go of the EXCLUSIVE lock.
 * Whoever gets a SHARED lock finds the database as a transaction left it, and what was written
 * until then is the transaction, or several of them.
 */
final class UnjournaledCapture {

  private static final Logger logger = LoggerFactory.getLogger(UnjournaledCapture.class);

  /** Between the first write and the first try: one transaction's writes come together. */
  private static final long DELAY_MILLIS = 10;

  private static final Duration PATIENCE = Duration.ofSeconds(1);

  private final Store store;
  private final Database database;
  private final AtomicBoolean scheduled = new AtomicBoolean();

  UnjournaledCapture(Store store, Database database) {
    this.store = store;
    this.database = database;
  }

  /** The database was written to: captures that soon, on another thread. */
  void captureSoon() {
    if (scheduled.compareAndSet(false, true)) {
      store.inBackgroundAfter(DELAY_MILLIS, TimeUnit.MILLISECONDS, this::captureWhenFree);
    }
  }

  private void captureWhenFree() {
    scheduled.set(false);
    if (database.hasUnjournaledTransaction() && !capture(PATIENCE)) {
      captureSoon();
    }
  }

  /**
   * Captures what is complete now. The caller holds no lock and is not needed by any.
   *
   * @return false if a transaction is being written
   */
  boolean captureNow() {
    return !database.hasUnjournaledTransaction() || capture(Duration.ZERO);
  }

  private boolean capture(Duration patience) {
    try (KeeperFile file = open()) {
      if (!isFree(file, patience)) {
        return false;
      }
      database.captureUnjournaled();
      return true;
    } catch (ErrnoException e) {
      logger.debug("{}: what was written without a journal waits", database.name(), e);
      return true; // gone, or refused: the last close decides
    }
  }

  /** What a close makes of the writes before it. */
  @FunctionalInterface
  interface Closing {
    /**
     * @param free whether nobody can be writing a transaction
     * @return false if that matters and was not so: nothing was done
     */
    boolean run(boolean free) throws ErrnoException;
  }

  /**
   * A descriptor is closed: {@code closing} runs while nobody can write a transaction. If somebody
   * does, it is no end of anything, and that transaction's end is waited for. The caller holds no
   * lock and is not needed by any.
   */
  void closed(Closing closing) throws ErrnoException {
    if (closing.run(false)) {
      return;
    }
    try (KeeperFile file = openIfPossible()) {
      if (file == null || isFree(file, Duration.ZERO)) {
        closing.run(true);
      } else {
        captureSoon();
      }
    }
  }

  private boolean isFree(KeeperFile file, Duration patience) throws ErrnoException {
    return patience.isZero()
        ? file.tryLock(LockType.READ, LockBytes.SHARED_FIRST, LockBytes.SHARED_LENGTH)
        : file.lock(LockType.READ, LockBytes.SHARED_FIRST, LockBytes.SHARED_LENGTH, patience);
  }

  private KeeperFile open() throws ErrnoException {
    return store.keepers().open(store.mountPoint().resolve(database.name()), PosixFile.O_RDONLY, 0);
  }

  /** Null if the mount or the file is going. */
  private KeeperFile openIfPossible() {
    try {
      return open();
    } catch (ErrnoException e) {
      logger.debug("{}: cannot see who holds locks", database.name(), e);
      return null;
    }
  }
}

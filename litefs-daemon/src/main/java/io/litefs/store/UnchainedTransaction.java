package io.litefs.store;

import io.litefs.fuse.KeeperFile;
import io.litefs.fuse.LockType;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.LockBytes;
import io.litefs.sqlite.WalIndex;
import io.litefs.sqlite.WalIndexHeader;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the transaction that is committed although its commit frame has no checksum, as some
 * versions of SQLite leave it ({@link io.litefs.sqlite.WalFrameHeader}). That it is one says the
 * wal-index alone, which applications change in their mappings: a keeper reads it through the
 * mount.
 *
 * <p>Most commit frames without a checksum get it a moment later, with which they are captured;
 * then there is nothing to find. Otherwise it is looked for as soon as the writer has let go of its
 * lock, before anybody writes behind the transaction, and before it is copied into the database. A
 * connection in {@code locking_mode=EXCLUSIVE} has the index in its memory; then it is what the
 * connection does to the files next that says so, unless it closes them first.
 */
final class UnchainedTransaction {

  private static final Logger logger = LoggerFactory.getLogger(UnchainedTransaction.class);

  /** A writer that has written its commit frame is about to rewrite the checksums. */
  private static final long DELAY_MILLIS = 2;

  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private final Store store;
  private final Database database;
  private final AtomicBoolean scheduled = new AtomicBoolean();

  UnchainedTransaction(Store store, Database database) {
    this.store = store;
    this.database = database;
  }

  /** Looks for it on another thread once the present writer is done. */
  void captureSoon() {
    if (scheduled.compareAndSet(false, true)) {
      store.inBackgroundAfter(DELAY_MILLIS, TimeUnit.MILLISECONDS, this::captureWhenFree);
    }
  }

  private void captureWhenFree() {
    scheduled.set(false);
    if (!isToBeSought() || database.file(FileKind.SHM) == null) {
      return; // without an index, what the connection does next decides
    }
    try (KeeperFile shm = open()) {
      if (shm.lock(LockType.WRITE, LockBytes.WAL_WRITE, 1, PATIENCE)) {
        if (isToBeSought()) { // Somebody else may have captured it, or taken the WAL.
          capture(shm);
        }
      } else {
        captureSoon(); // its writer, or the next one, which has it captured before it writes
      }
    } catch (ErrnoException e) {
      cannotSee(e);
    }
  }

  /** Captures what the index says by now. The caller holds no lock that a handler needs. */
  void captureNow() {
    if (isToBeSought() && database.file(FileKind.SHM) != null) {
      try (KeeperFile shm = open()) {
        capture(shm);
      } catch (ErrnoException e) {
        cannotSee(e);
      }
    }
  }

  /**
   * As {@link #captureNow}, before an application changes a file in a way that no connection does
   * within a transaction: if there is no index, what the only connection has written is committed.
   */
  void captureBefore() throws ErrnoException {
    captureNow();
    if (isToBeSought() && database.file(FileKind.SHM) == null) {
      database.wal().published(null);
    }
  }

  private boolean isToBeSought() {
    return database.access().isOpen() && database.wal().capture().mayBeUnchained();
  }

  private void capture(KeeperFile shm) throws ErrnoException {
    ByteBuffer bytes = ByteBuffer.allocateDirect(WalIndex.HEADER_SIZE);
    shm.read(bytes, 0);
    Optional<WalIndexHeader> index = WalIndex.readHeader(bytes.flip());
    if (index.isPresent()) {
      database.wal().published(index.get());
    }
  }

  private KeeperFile open() throws ErrnoException {
    return store
        .keepers()
        .open(store.mountPoint().resolve(database.name() + "-shm"), PosixFile.O_RDWR, 0);
  }

  private void cannotSee(ErrnoException e) {
    if (e.errno() != Errno.ENOENT) { // It went with its last connection, which looked before.
      logger.warn(
          "{}: cannot see whether its last transaction was committed: {}",
          database.name(),
          e.getMessage());
    }
  }
}

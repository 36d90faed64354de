package io.litefs.store;

import io.litefs.fuse.KeeperFile;
import io.litefs.fuse.LockHolder;
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
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the transaction whose writer died between its commit frame and its publication in the
 * wal-index: it is in the log, perhaps on replicas, and no connection here sees it. Both copies of
 * the index's header are then made invalid, so that the next connection that begins a transaction
 * recovers the index from the WAL, as after any crash of a SQLite process, and finds it.
 *
 * <p>A process that dies closes its files, and its locks go only when that is answered. So nobody
 * can begin to write before this has looked, and whoever waits for the process's end finds the
 * transaction. What a mapping of the index holds is only to be seen through the mount, and a writer
 * at work only by its lock: a keeper reads and locks. Should a writer overwrite the dead one's
 * frames all the same, {@link WalCapture} sees that.
 */
final class UnpublishedTransaction {

  private static final Logger logger = LoggerFactory.getLogger(UnpublishedTransaction.class);

  /** How long a living writer may take from its commit frame to the end of its lock. */
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private final Store store;
  private final Database database;
  private final AtomicBoolean scheduled = new AtomicBoolean();

  UnpublishedTransaction(Store store, Database database) {
    this.store = store;
    this.database = database;
  }

  /**
   * The process {@code pid} closes the index and still has its locks. Called by the handler of that
   * request, which must not hold any lock.
   */
  void lookBefore(int pid) {
    try {
      if (isBehindOnDisk()) {
        look(pid);
      }
    } catch (ErrnoException e) {
      cannotSee(e);
    }
  }

  /** What the index said when it was written back: at most too old. */
  private boolean isBehindOnDisk() throws ErrnoException {
    BackingFile file = database.file(FileKind.SHM);
    if (file == null) {
      return false;
    }
    ByteBuffer header = ByteBuffer.allocateDirect(WalIndex.HEADER_SIZE);
    file.file().preadMost(header, 0);
    return isBehind(header.flip());
  }

  private void look(int pid) throws ErrnoException {
    try (KeeperFile shm = open()) {
      if (!isBehind(shm)) {
        return;
      }
      Optional<LockHolder> writer = shm.holder(LockType.WRITE, LockBytes.WAL_WRITE, 1);
      if (writer.isPresent() && writer.get().pid() == pid) {
        invalidate();
      } else if (shm.tryLock(LockType.WRITE, LockBytes.WAL_WRITE, 1)) {
        if (isBehind(shm)) {
          invalidate();
        }
      } else if (scheduled.compareAndSet(false, true)) {
        store.inBackground(this::lookWhenFree); // another writer, which may be dying too
      }
    }
  }

  private void lookWhenFree() {
    scheduled.set(false);
    try (KeeperFile shm = open()) {
      // Nobody writes once the lock is there, and nobody begins to before it goes.
      if (shm.lock(LockType.WRITE, LockBytes.WAL_WRITE, 1, PATIENCE) && isBehind(shm)) {
        invalidate();
      }
    } catch (ErrnoException e) {
      cannotSee(e);
    }
  }

  private KeeperFile open() throws ErrnoException {
    return store
        .keepers()
        .open(store.mountPoint().resolve(database.name() + "-shm"), PosixFile.O_RDWR, 0);
  }

  private void cannotSee(ErrnoException e) {
    if (e.errno() != Errno.ENOENT) { // Without an index, the next connection makes one.
      logger.warn(
          "{}: cannot see whether its last transaction was published: {}",
          database.name(),
          e.getMessage());
    }
  }

  private boolean isBehind(KeeperFile shm) throws ErrnoException {
    ByteBuffer header = ByteBuffer.allocateDirect(WalIndex.HEADER_SIZE);
    shm.read(header, 0);
    return isBehind(header.flip());
  }

  /** The index is read first, the WAL's end after it: a living writer goes the other way. */
  private boolean isBehind(ByteBuffer header) {
    Optional<WalIndexHeader> index = WalIndex.readHeader(header);
    Base.WalEnd end = database.wal().currentEnd();
    if (index.isEmpty() || end.applied() || end.offset() <= WalCapture.HEADER_BYTES) {
      return false;
    }
    // The first transaction of a WAL publishes the WAL's salts too.
    long frameBytes = WalCapture.FRAME_HEADER_BYTES + (long) index.get().pageSize();
    return !end.isIn(index.get().salt1(), index.get().salt2())
        || WalCapture.HEADER_BYTES + index.get().maxFrame() * frameBytes < end.offset();
  }

  private void invalidate() throws ErrnoException {
    BackingFile file = database.file(FileKind.SHM);
    if (file == null || !database.access().isOpen()) {
      return;
    }
    ByteBuffer zeros = ByteBuffer.allocateDirect(WalIndexHeader.SIZE);
    // The order of a writer: who reads the first copy, then the second, sees two that differ.
    for (int copy : new int[] {WalIndex.SECOND_COPY, WalIndex.FIRST_COPY}) {
      file.file().pwrite(zeros.clear(), copy);
      database.kernelCache().store(database.name() + "-shm", copy, zeros.clear());
    }
    logger.info(
        "{}: the writer of transaction {} died before it published it; connections recover the WAL",
        database.name(),
        database.pos().txid());
  }
}

package io.litefs.store;

import io.litefs.fuse.KernelCache;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.WalCheckpointInfo;
import io.litefs.sqlite.WalIndex;
import io.litefs.sqlite.WalIndexHeader;
import java.nio.ByteBuffer;
import java.security.SecureRandom;

/**
 * Tells the connections of a WAL database, through the wal-index, that the database file has
 * changed and that the WAL is empty: each drops its page cache with its next transaction. To be
 * used under all of SQLite's WAL locks.
 *
 * <p>The shm is mapped by applications, never by the daemon: bytes go to the backing file and, by a
 * store, into the kernel's page cache, where every mapping sees them at once.
 */
final class WalIndexPublisher {

  private final Database database;
  private final SecureRandom random = new SecureRandom();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(WalIndex.BLOCK_SIZE);
  private WalIndexHeader last;

  WalIndexPublisher(Database database) {
    this.database = database;
  }

  /** Publishes an empty WAL over a database of {@code pageCount} pages. */
  void publishEmptyWal(int pageSize, long pageCount) throws ErrnoException {
    BackingFile shm = database.file(FileKind.SHM);
    if (shm == null) {
      last = null; // No connection has one; the next to come recovers from the (empty) WAL.
      return;
    }
    if (shm.size() < WalIndex.BLOCK_SIZE) {
      buffer.clear();
      while (buffer.hasRemaining()) {
        buffer.putLong(0);
      }
      put(shm, 0, buffer.flip());
    }
    last = WalIndexHeader.emptyLog(last, pageSize, pageCount, random.nextLong());
    // The order that readers rely on: they read the first copy, then the second.
    put(shm, WalIndex.SECOND_COPY, encoded());
    put(shm, WalIndex.FIRST_COPY, encoded());
    buffer.clear();
    WalCheckpointInfo.RESTARTED.encode(buffer);
    put(shm, WalIndex.CHECKPOINT_INFO, buffer.flip());
  }

  private ByteBuffer encoded() {
    buffer.clear();
    last.encode(buffer);
    return buffer.flip();
  }

  private void put(BackingFile shm, long offset, ByteBuffer bytes) throws ErrnoException {
    KernelCache cache = database.kernelCache();
    shm.file().pwrite(bytes, offset);
    cache.store(database.name() + "-shm", offset, bytes.flip());
  }
}

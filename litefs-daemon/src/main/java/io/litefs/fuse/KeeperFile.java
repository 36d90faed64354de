package io.litefs.fuse;

import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Optional;

/**
 * A file of the daemon's own mount, opened to take the byte locks that SQLite takes. Its locks are
 * open-file-description locks: they conflict with the POSIX locks of the applications and with
 * those of other KeeperFiles, belong to this object alone, and go with {@link #close}.
 *
 * <p>Thread-safe. Every method hands the system call to a keeper thread (10 to 20 us) and waits for
 * it; a thread that is interrupted while it waits for a lock gives up with EINTR and stays
 * interrupted. After {@code close} methods fail with EBADF.
 *
 * <p>Opening, {@link #size}, {@link #read}, {@link #sync} and {@code close} may be answered by the
 * daemon's own {@link FileSystem}: never call them while holding a lock that its handlers need.
 * Locking never reaches the daemon.
 */
public interface KeeperFile extends AutoCloseable {

  /**
   * Takes or converts a lock, or returns false if somebody else's is in the way.
   *
   * @param start first byte, at least 0
   * @param length bytes, at least 1
   */
  boolean tryLock(LockType type, long start, long length) throws ErrnoException;

  /** Takes or converts a lock and waits for it as long as it takes. */
  void lock(LockType type, long start, long length) throws ErrnoException;

  /**
   * As {@link #lock(LockType, long, long)}, but gives up after {@code timeout}: false, and no lock
   * is left behind.
   */
  boolean lock(LockType type, long start, long length, Duration timeout) throws ErrnoException;

  /** Drops this file's locks in the range. */
  void unlock(long start, long length) throws ErrnoException;

  /** One holder of a lock that would be in the way of this one, if there is any. */
  Optional<LockHolder> holder(LockType type, long start, long length) throws ErrnoException;

  /** The file's size as the kernel sees it, in bytes. */
  long size() throws ErrnoException;

  /**
   * Reads what applications would read now, their mappings' unwritten changes included, until
   * {@code into} (direct) is full or the file ends; its position advances.
   *
   * @param offset bytes from the start of the file
   */
  void read(ByteBuffer into, long offset) throws ErrnoException;

  /** Has the kernel write back what applications changed in mappings, and waits until it has. */
  void sync() throws ErrnoException;

  /** Drops the locks and closes the file; ends waits of other threads with EBADF. Idempotent. */
  @Override
  void close();
}

package io.litefs.fuse;

import io.litefs.posix.Errno;
import java.nio.ByteBuffer;
import java.util.concurrent.locks.LockSupport;

/**
 * The work of one keeper thread: take a call, make it, take the next.
 *
 * <p>What runs here must not load a class, log, or start a thread: files that the other threads
 * opened later do not exist for this one, or the same number means another file (see {@link
 * Keepers}).
 */
final class Keeper implements Runnable {

  /** struct flock on 64 bit Linux. */
  private static final int FLOCK_BYTES = 32;

  private static final int L_TYPE = 0;
  private static final int L_WHENCE = 2;
  private static final int L_START = 8;
  private static final int L_LENGTH = 16;
  private static final int L_PID = 24;

  static final short F_RDLCK = 0;
  static final short F_WRLCK = 1;
  static final short F_UNLCK = 2;

  private static final long IDLE_NANOS = 60_000_000_000L;

  private final KeeperPool pool;
  private final ByteBuffer flock = Syscalls.allocate(FLOCK_BYTES);
  private final ByteBuffer scratch =
      Syscalls.allocate(Math.max(Syscalls.STATX_BYTES, Syscalls.STATFS_BYTES));

  private volatile Thread thread;
  private volatile KeeperCall next;
  private volatile boolean stopped;
  private volatile int tid;

  Keeper(KeeperPool pool, KeeperCall first) {
    this.pool = pool;
    this.next = first;
  }

  /**
   * Hands over a call. Only for a keeper that was taken from the idle ones, so there is no other.
   */
  void assign(KeeperCall call) {
    next = call;
    LockSupport.unpark(thread);
  }

  void stop() {
    stopped = true;
    LockSupport.unpark(thread);
  }

  @Override
  public void run() {
    thread = Thread.currentThread();
    tid = Syscalls.CALLS.gettid();
    Syscalls.unblock(pool.signal());
    while (true) {
      KeeperCall call = next;
      if (call != null) {
        next = null;
        long result = call.perform(this);
        // First idle, then done: so the caller's next call finds this thread again.
        pool.idle(this);
        call.finish(result);
      } else if (stopped) {
        return;
      } else {
        long before = System.nanoTime();
        LockSupport.parkNanos(pool, IDLE_NANOS);
        if (System.nanoTime() - before >= IDLE_NANOS && pool.retire(this)) {
          return;
        }
      }
    }
  }

  /** Makes the system call that this thread is in return with EINTR, if it can. */
  void interruptSystemCall() {
    Syscalls.CALLS.tgkill(pool.processId(), tid, pool.signal());
  }

  /** fcntl(2) with one of the open-file-description lock commands; 0 or the negative errno. */
  long lock(int fd, int command, short type, long start, long length) {
    flock.putShort(L_TYPE, type);
    flock.putShort(L_WHENCE, (short) 0);
    flock.putLong(L_START, start);
    flock.putLong(L_LENGTH, length);
    flock.putInt(L_PID, 0); // anything else is EINVAL for these commands
    return Syscalls.CALLS.fcntl(fd, command, Syscalls.address(flock)) == 0 ? 0 : -Syscalls.errno();
  }

  /** After F_OFD_GETLK: whether a lock is in the way. */
  boolean foundLock() {
    return flock.getShort(L_TYPE) != F_UNLCK;
  }

  /** After F_OFD_GETLK: whose lock is in the way. */
  int foundPid() {
    return flock.getInt(L_PID);
  }

  /** Bytes, or the negative errno. Not lseek(2): that waits for a write in progress. */
  long size(int fd) {
    int error =
        Syscalls.CALLS.statx(
            fd, "", Syscalls.AT_EMPTY_PATH, Syscalls.STATX_SIZE, Syscalls.address(scratch));
    return error == 0 ? scratch.getLong(Syscalls.STATX_SIZE_OFFSET) : -Syscalls.errno();
  }

  /** pread(2), repeated when a signal interrupts it: bytes, or the negative errno. */
  long read(int fd, long address, long length, long offset) {
    while (true) {
      long count = Syscalls.CALLS.pread(fd, address, length, offset);
      if (count >= 0) {
        return count;
      }
      int errno = Syscalls.errno();
      if (errno != Errno.EINTR) {
        return -errno;
      }
    }
  }

  /** statfs(2), which always asks the filesystem: 0 or the negative errno. */
  long statfs(String path) {
    return Syscalls.CALLS.statfs(path, Syscalls.address(scratch)) == 0 ? 0 : -Syscalls.errno();
  }
}

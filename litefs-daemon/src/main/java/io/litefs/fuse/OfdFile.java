package io.litefs.fuse;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/** A descriptor in the keepers' table with its open-file-description locks. */
final class OfdFile implements KeeperFile {

  private final KeeperPool pool;
  private final Path path;
  private final int fd;
  private final Consumer<OfdFile> onClose;

  /** Calls under way that use the descriptor; it is closed when there are none. Guarded by this. */
  private final Set<KeeperCall> calls = new HashSet<>();

  /** Guarded by this. */
  private boolean closed;

  OfdFile(KeeperPool pool, Path path, int fd, Consumer<OfdFile> onClose) {
    this.pool = pool;
    this.path = path;
    this.fd = fd;
    this.onClose = onClose;
  }

  @Override
  public boolean tryLock(LockType type, long start, long length) throws ErrnoException {
    short kind = kind(type);
    long result =
        run(
            new KeeperCall() {
              @Override
              long execute(Keeper keeper) {
                return keeper.lock(fd, Syscalls.F_OFD_SETLK, kind, start, length);
              }
            });
    if (result == -Errno.EAGAIN || result == -Errno.EACCES) {
      return false;
    }
    check(result, "lock");
    return true;
  }

  @Override
  public void lock(LockType type, long start, long length) throws ErrnoException {
    waitForLock(type, start, length, Long.MAX_VALUE);
  }

  @Override
  public boolean lock(LockType type, long start, long length, Duration timeout)
      throws ErrnoException {
    return waitForLock(type, start, length, Math.max(0, timeout.toNanos()));
  }

  @Override
  public void unlock(long start, long length) throws ErrnoException {
    check(
        run(
            new KeeperCall() {
              @Override
              long execute(Keeper keeper) {
                return keeper.lock(fd, Syscalls.F_OFD_SETLK, Keeper.F_UNLCK, start, length);
              }
            }),
        "unlock");
  }

  @Override
  public Optional<LockHolder> holder(LockType type, long start, long length) throws ErrnoException {
    // 0: nobody; otherwise the pid (-1 for an open file description) moved up by two.
    short kind = kind(type);
    long result =
        run(
            new KeeperCall() {
              @Override
              long execute(Keeper keeper) {
                long error = keeper.lock(fd, Syscalls.F_OFD_GETLK, kind, start, length);
                return error != 0 || !keeper.foundLock() ? error : keeper.foundPid() + 2L;
              }
            });
    check(result, "query the lock of");
    if (result == 0) {
      return Optional.empty();
    }
    int pid = (int) (result - 2);
    return Optional.of(new LockHolder(pid, pid > 0 ? command(pid) : ""));
  }

  @Override
  public long size() throws ErrnoException {
    return check(
        run(
            new KeeperCall() {
              @Override
              long execute(Keeper keeper) {
                return keeper.size(fd);
              }
            }),
        "size of");
  }

  @Override
  public void read(ByteBuffer into, long offset) throws ErrnoException {
    if (!into.isDirect()) {
      throw new IllegalArgumentException("direct buffer needed: the heap can move during the call");
    }
    while (into.hasRemaining()) {
      long address = Syscalls.address(into) + into.position();
      long at = offset;
      int length = into.remaining();
      long count =
          check(
              run(
                  new KeeperCall() {
                    @Override
                    long execute(Keeper keeper) {
                      return keeper.read(fd, address, length, at);
                    }
                  }),
              "read");
      if (count == 0) {
        return;
      }
      into.position(into.position() + (int) count);
      offset += count;
    }
  }

  @Override
  public void sync() throws ErrnoException {
    check(
        run(
            new KeeperCall() {
              @Override
              long execute(Keeper keeper) {
                return Syscalls.CALLS.fdatasync(fd) == 0 ? 0 : -Syscalls.errno();
              }
            }),
        "sync");
  }

  @Override
  public void close() {
    Set<KeeperCall> pending;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      pending = new HashSet<>(calls);
    }
    for (KeeperCall call : pending) {
      call.cancel();
    }
    awaitNoCalls();
    KeeperCall close =
        new KeeperCall() {
          @Override
          long execute(Keeper keeper) {
            Syscalls.CALLS.close(fd);
            return 0;
          }
        };
    pool.submit(close);
    close.await();
    onClose.accept(this);
  }

  @Override
  public String toString() {
    return path.toString();
  }

  private boolean waitForLock(LockType type, long start, long length, long nanos)
      throws ErrnoException {
    short kind = kind(type);
    KeeperCall call =
        new KeeperCall() {
          @Override
          long execute(Keeper keeper) {
            while (!cancelled()) {
              long result = keeper.lock(fd, Syscalls.F_OFD_SETLKW, kind, start, length);
              if (result != -Errno.EINTR) {
                return result;
              }
            }
            return -Errno.EINTR;
          }
        };
    enter(call);
    long result;
    try {
      pool.submit(call);
      if (!call.await(nanos)) {
        call.cancel();
      }
      result = call.result();
    } finally {
      leave(call);
    }
    if (result == -Errno.EINTR) {
      checkOpen();
      if (Thread.currentThread().isInterrupted()) {
        throw new ErrnoException(Errno.EINTR, "lock " + path);
      }
      return false;
    }
    // A lock that came while the wait was being called off is a lock.
    check(result, "lock");
    return true;
  }

  private long run(KeeperCall call) throws ErrnoException {
    enter(call);
    try {
      pool.submit(call);
      return call.await();
    } finally {
      leave(call);
    }
  }

  private synchronized void enter(KeeperCall call) throws ErrnoException {
    checkOpen();
    calls.add(call);
  }

  private synchronized void checkOpen() throws ErrnoException {
    if (closed) {
      throw new ErrnoException(Errno.EBADF, path + " is closed");
    }
  }

  private synchronized void leave(KeeperCall call) {
    calls.remove(call);
    notifyAll();
  }

  private synchronized void awaitNoCalls() {
    boolean interrupted = false;
    while (!calls.isEmpty()) {
      try {
        wait();
      } catch (InterruptedException e) {
        // The descriptor must not be closed under a call: wait on, and tell the caller afterwards.
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private long check(long result, String what) throws ErrnoException {
    if (result < 0) {
      throw new ErrnoException((int) -result, what + " " + path);
    }
    return result;
  }

  private static short kind(LockType type) {
    return type == LockType.READ ? Keeper.F_RDLCK : Keeper.F_WRLCK;
  }

  private static String command(int pid) {
    try {
      return Files.readString(Path.of("/proc", Integer.toString(pid), "comm")).strip();
    } catch (IOException e) {
      // The holder has ended since, or hides from us; the pid must do.
      return "";
    }
  }
}

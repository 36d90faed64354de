package io.litefs.fuse;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The threads that alone open, lock, read and close files of the daemon's own mount. They have a
 * descriptor table of their own.
 *
 * <p>Why: when a process dies, the kernel closes its descriptors one by one. Closing one that
 * belongs to a FUSE mount asks the mount's daemon and waits. If the daemon is the dying process
 * itself, nobody answers; and since the wait keeps the table alive, {@code /dev/fuse}, which is in
 * the same table, is never closed, which would end the wait. A daemon that is killed in such a
 * state stays forever. With two tables it is not so: {@code /dev/fuse} is in that of the other
 * threads, goes with them, the kernel aborts the connection, and every call of a keeper returns
 * with an error.
 *
 * <p>Threads inherit their creator's table. So one thread, the spawner, takes a copy of the table
 * ({@code unshare(CLONE_FILES)}) before {@code /dev/fuse} is opened, and starts every keeper. The
 * price: to a keeper, files that the process opened later do not exist. Hence keepers do nothing
 * but system calls, and everything they execute was executed once before the tables part (see
 * {@code rehearse}), so that no class must be loaded from a jar.
 *
 * <p>Thread-safe.
 */
public final class Keepers implements AutoCloseable {

  /** Neither 0 nor an errno: {@link #probe} got no answer in time. */
  static final int NO_ANSWER = -1;

  private final KeeperPool pool = new KeeperPool();
  private final Set<OfdFile> files = ConcurrentHashMap.newKeySet();

  private Keepers() {}

  /**
   * Starts the keepers. To be called as early as possible: before the mount, before any socket or
   * secret file is open (descriptors that are open now stay open in the keepers' table until the
   * process ends).
   *
   * @throws IllegalStateException if the kernel refuses, as it does only in sandboxes that forbid
   *     unshare(2) altogether
   */
  public static Keepers start() {
    rehearse();
    return start(true);
  }

  /**
   * Opens a file of the mount.
   *
   * @param flags O_ constants of {@link PosixFile}
   * @param mode permission bits of a created file
   */
  public KeeperFile open(Path fileInMount, int flags, int mode) throws ErrnoException {
    String path = fileInMount.toString();
    KeeperCall call =
        new KeeperCall() {
          @Override
          long execute(Keeper keeper) {
            while (true) {
              int fd = Syscalls.CALLS.open(path, flags | PosixFile.O_CLOEXEC, mode);
              if (fd >= 0) {
                return fd;
              }
              int errno = Syscalls.errno();
              if (errno != Errno.EINTR) {
                return -errno;
              }
            }
          }
        };
    pool.submit(call);
    long result = call.await();
    if (result < 0) {
      throw new ErrnoException((int) -result, "open " + fileInMount);
    }
    OfdFile file = new OfdFile(pool, fileInMount, (int) result, files::remove);
    files.add(file);
    return file;
  }

  /**
   * Closes all files and ends the threads. The kernel must still be able to reach the mount, or
   * know that it is gone.
   */
  @Override
  public void close() {
    closeFiles();
    pool.stop();
  }

  /** Closes every file that is open: an unmount would find the mount busy with them. */
  void closeFiles() {
    files.forEach(OfdFile::close);
  }

  /** How many threads there are. */
  int threads() {
    return pool.size();
  }

  /**
   * Asks the filesystem at {@code path} a question that only its daemon can answer (statfs(2)). A
   * thread of the daemon's main table must not do that: killed while it waits, it would stay.
   *
   * @return 0, an errno (ENOTCONN: the daemon is dead), or {@link #NO_ANSWER} after {@code
   *     timeout}; then a keeper hangs until the answer comes
   */
  int probe(Path path, Duration timeout) {
    String name = path.toString();
    KeeperCall call =
        new KeeperCall() {
          @Override
          long execute(Keeper keeper) {
            return keeper.statfs(name);
          }
        };
    pool.submit(call);
    return call.await(timeout.toNanos()) ? (int) -call.result() : NO_ANSWER;
  }

  /**
   * umount2(2), which can wait for dirty pages to be written back to our own mount: 0 or an errno.
   */
  int unmount(Path path, int flags) {
    String name = path.toString();
    KeeperCall call =
        new KeeperCall() {
          @Override
          long execute(Keeper keeper) {
            return Syscalls.CALLS.umount2(name, flags) == 0 ? 0 : -Syscalls.errno();
          }
        };
    pool.submit(call);
    return (int) -call.await();
  }

  /**
   * Makes a system call that the thread with the given id of this process is in return with EINTR.
   */
  void interrupt(int threadId) {
    Syscalls.CALLS.tgkill(pool.processId(), threadId, pool.signal());
  }

  private static Keepers start(boolean ownTable) {
    Keepers keepers = new Keepers();
    AtomicInteger error = new AtomicInteger();
    CountDownLatch parted = new CountDownLatch(1);
    Thread spawner =
        new Thread(
            () -> {
              if (ownTable && Syscalls.CALLS.unshare(Syscalls.CLONE_FILES) != 0) {
                error.set(Syscalls.errno());
              }
              parted.countDown();
              keepers.pool.spawn();
            },
            "litefs-keeper-spawner");
    spawner.setDaemon(true);
    spawner.start();
    boolean interrupted = false;
    while (true) {
      try {
        parted.await();
        break;
      } catch (InterruptedException e) {
        // The spawner needs microseconds; the interrupt is for whatever comes next.
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (error.get() != 0) {
      keepers.pool.stop();
      throw new IllegalStateException(
          "unshare(CLONE_FILES) failed with "
              + Errno.name(error.get())
              + ": the sandbox (seccomp profile) must allow it, the daemon could not be killed safely without");
    }
    return keepers;
  }

  /**
   * Does everything that keepers will ever do, with threads that still share the process's table,
   * so that all classes are loaded.
   */
  private static void rehearse() {
    Keepers rehearsal = start(false);
    try {
      Path file = Files.createTempFile("litefs-keepers", null);
      try (KeeperFile first = rehearsal.open(file, PosixFile.O_RDWR, 0);
          KeeperFile second = rehearsal.open(file, PosixFile.O_RDWR, 0)) {
        first.lock(LockType.WRITE, 0, 1);
        second.tryLock(LockType.WRITE, 0, 1);
        second.holder(LockType.READ, 0, 1);
        second.lock(LockType.READ, 0, 1, Duration.ofNanos(100_000));
        first.unlock(0, 1);
        first.size();
        first.read(Syscalls.allocate(1), 0);
        first.sync();
      } finally {
        Files.delete(file);
      }
      rehearsal.probe(file.getParent(), Duration.ofSeconds(1));
      rehearsal.unmount(file, 0);
      rehearsal.open(file, PosixFile.O_RDONLY, 0).close();
    } catch (ErrnoException e) {
      if (e.errno() != Errno.ENOENT) {
        throw new IllegalStateException(
            "locks of open file descriptions do not work on this system", e);
      }
    } catch (IOException e) {
      // No temporary directory to write to: a class may be missing now, which matters only if it is
      // to be loaded from a jar
      // that the keepers cannot see. The daemon's own jar was opened before.
    } finally {
      rehearsal.close();
    }
  }
}

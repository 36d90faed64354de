package io.litefs.fuse;

import com.kenai.jffi.Library;
import com.kenai.jffi.MemoryIO;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jnr.ffi.LastError;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Runtime;
import jnr.ffi.annotations.Encoding;
import jnr.ffi.types.mode_t;
import jnr.ffi.types.off_t;
import jnr.ffi.types.size_t;
import jnr.ffi.types.ssize_t;
import jnr.ffi.types.uintptr_t;

/**
 * The calls of libc that mounting and locking need. Structures go by address; errno is read with
 * {@link #errno()} on the same thread.
 */
final class Syscalls {

  static final Calls CALLS = LibraryLoader.create(Calls.class).failImmediately().load("libc.so.6");
  private static final Runtime RUNTIME = Runtime.getRuntime(CALLS);

  static final int CLONE_FILES = 0x400;

  static final int F_SETFD = 2;
  static final int FD_CLOEXEC = 1;
  static final int F_OFD_GETLK = 36;
  static final int F_OFD_SETLK = 37;
  static final int F_OFD_SETLKW = 38;

  static final int AT_EMPTY_PATH = 0x1000;
  static final int STATX_SIZE = 0x200;
  static final int STATX_BYTES = 256;
  static final int STATX_SIZE_OFFSET = 40;

  /** Larger than any architecture's struct statfs and statvfs. */
  static final int STATFS_BYTES = 256;

  static final int MNT_FORCE = 1;
  static final int MNT_DETACH = 2;

  private static final int SIG_UNBLOCK = 1;
  private static final int SIGSET_BYTES = 128;
  private static final int SIGACTION_BYTES = 8 + SIGSET_BYTES + 16;

  private Syscalls() {}

  static int errno() {
    return LastError.getLastError(RUNTIME);
  }

  /** Zeroed native memory in this machine's byte order. */
  static ByteBuffer allocate(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }

  /** The address of a direct buffer's first byte, whatever its position. */
  static long address(ByteBuffer direct) {
    return MemoryIO.getInstance().getDirectBufferAddress(direct);
  }

  /**
   * Finds a real-time signal that nobody uses and gives it a handler that does nothing, without
   * SA_RESTART: when it arrives, the system call in progress ends with EINTR.
   *
   * <p>The handler is libc's abs(3): a leaf function that takes an int and touches nothing. Java
   * code cannot run in a signal handler.
   */
  static int claimSignal() {
    long handler = Library.getCachedInstance("libc.so.6", Library.LAZY).getSymbolAddress("abs");
    if (handler == 0) {
      throw new UnsatisfiedLinkError("libc has no abs");
    }
    ByteBuffer action = allocate(SIGACTION_BYTES);
    // From 40 up: libc keeps the first three real-time signals for itself and tools tend to take
    // the next ones.
    for (int signal = 40; signal < 64; signal++) {
      ByteBuffer before = allocate(SIGACTION_BYTES);
      if (CALLS.sigaction(signal, 0, address(before)) == 0
          && (before.getLong(0) == 0 || before.getLong(0) == handler)) {
        action.putLong(0, handler);
        if (CALLS.sigaction(signal, address(action), 0) == 0) {
          return signal;
        }
      }
    }
    throw new IllegalStateException("every real-time signal from 40 to 63 has a handler already");
  }

  /** Lets {@code signal} reach this thread even if the process was started with it blocked. */
  static void unblock(int signal) {
    ByteBuffer set = allocate(SIGSET_BYTES);
    set.putLong(0, 1L << (signal - 1));
    CALLS.pthread_sigmask(SIG_UNBLOCK, address(set), 0);
  }

  /**
   * Public inside a package-private class: jnr-ffi implements it from a class loader of its own.
   */
  @Encoding("UTF-8")
  public interface Calls {

    int open(String path, int flags, @mode_t int mode);

    int close(int fd);

    int fcntl(int fd, int command, @uintptr_t long argument);

    int statx(int directory, String path, int flags, int mask, @uintptr_t long result);

    @ssize_t
    long pread(int fd, @uintptr_t long address, @size_t long count, @off_t long offset);

    int fdatasync(int fd);

    int statfs(String path, @uintptr_t long result);

    int statvfs(String path, @uintptr_t long result);

    int umount2(String path, int flags);

    int unshare(int flags);

    int gettid();

    int tgkill(int processGroup, int thread, int signal);

    int sigaction(int signal, @uintptr_t long action, @uintptr_t long before);

    int pthread_sigmask(int how, @uintptr_t long set, @uintptr_t long before);

    int geteuid();

    int getegid();

    @ssize_t
    long writev(int fd, @uintptr_t long vectors, @size_t long count);
  }
}

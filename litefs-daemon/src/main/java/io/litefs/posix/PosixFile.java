package io.litefs.posix;

import java.io.Closeable;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A file descriptor in the process's ordinary table, always close-on-exec. Positioned I/O on direct
 * buffers; errors keep their errno, which {@code FileChannel} loses.
 *
 * <p>Thread-safe. {@link #close} may be called while other threads are inside a call: they finish,
 * and the last of them closes the descriptor; calls that begin later fail with EBADF. So no call
 * ever reaches a descriptor number that was given to another file. For files outside the daemon's
 * own mount only ({@code io.litefs.fuse.Keepers} says why).
 */
public final class PosixFile implements Closeable {

  public static final int O_RDONLY = 0;
  public static final int O_WRONLY = 1;
  public static final int O_RDWR = 2;
  public static final int O_CREAT = 0100;
  public static final int O_EXCL = 0200;
  public static final int O_TRUNC = 01000;
  public static final int O_CLOEXEC = 02000000;

  private static final int SEEK_END = 2;
  private static final int CLOSING = 1 << 31;
  private static final int CLOSED = CLOSING | 1 << 30;

  private final Path path;
  private final int fd;

  /**
   * Calls in progress, plus {@link #CLOSING} once close was called. Whoever turns exactly CLOSING
   * into CLOSED closes the descriptor.
   */
  private final AtomicInteger users = new AtomicInteger();

  private PosixFile(Path path, int fd) {
    this.path = path;
    this.fd = fd;
  }

  /**
   * open(2).
   *
   * @param flags O_ constants of this class; O_CLOEXEC is added
   * @param mode permission bits of a created file, subject to the umask
   */
  public static PosixFile open(Path path, int flags, int mode) throws ErrnoException {
    while (true) {
      int fd = LibC.CALLS.open(path.toString(), flags | O_CLOEXEC, mode);
      if (fd >= 0) {
        return new PosixFile(path, fd);
      }
      int errno = LibC.errno();
      if (errno != Errno.EINTR) {
        throw new ErrnoException(errno, "open " + path);
      }
    }
  }

  /** Names made, removed or changed in a directory are so on disk too when this returns. */
  public static void syncDirectory(Path dir) throws ErrnoException {
    try (PosixFile directory = open(dir, O_RDONLY, 0)) {
      directory.fsync();
    }
  }

  public Path path() {
    return path;
  }

  /**
   * One pread(2) into the remaining space, repeated only when a signal interrupts it; advances the
   * position.
   *
   * @return bytes read, 0 at the end of the file (or if {@code into} is full)
   */
  public int pread(ByteBuffer into, long offset) throws ErrnoException {
    enter();
    try {
      return read(into, offset);
    } finally {
      leave();
    }
  }

  /** Reads until {@code into} is full; EIO if the file ends before. */
  public void preadFully(ByteBuffer into, long offset) throws ErrnoException {
    preadMost(into, offset);
    if (into.hasRemaining()) {
      throw new ErrnoException(
          Errno.EIO,
          "read "
              + path
              + " at "
              + offset
              + ": the file ends "
              + into.remaining()
              + " bytes early");
    }
  }

  /** Reads until {@code into} is full or the file ends, and returns the number of bytes read. */
  public int preadMost(ByteBuffer into, long offset) throws ErrnoException {
    enter();
    try {
      int total = 0;
      while (into.hasRemaining()) {
        int n = read(into, offset + total);
        if (n == 0) {
          break;
        }
        total += n;
      }
      return total;
    } finally {
      leave();
    }
  }

  /**
   * Writes everything from position to limit. After an error the position tells how much was
   * written.
   *
   * @throws ErrnoException ENOSPC, EDQUOT, EROFS, EIO, ...
   */
  public void pwrite(ByteBuffer from, long offset) throws ErrnoException {
    enter();
    try {
      long at = offset;
      while (from.hasRemaining()) {
        long n = LibC.CALLS.pwrite(fd, LibC.address(from), from.remaining(), at);
        if (n > 0) {
          from.position(from.position() + (int) n);
          at += n;
        } else if (n == 0) {
          throw new ErrnoException(
              Errno.EIO, "write " + path + " at " + at + ": nothing was written");
        } else {
          retryOrThrow("write", at);
        }
      }
    } finally {
      leave();
    }
  }

  /** Bytes. */
  public long size() throws ErrnoException {
    enter();
    try {
      // Not fstat: its structure and symbol differ between architectures and versions of glibc.
      // Nothing here uses the
      // descriptor's own position, so moving it harms nobody.
      return check(LibC.CALLS.lseek(fd, 0, SEEK_END), "size of");
    } finally {
      leave();
    }
  }

  /** Cuts or extends the file to {@code size} bytes. */
  public void truncate(long size) throws ErrnoException {
    enter();
    try {
      while (LibC.CALLS.ftruncate(fd, size) != 0) {
        retryOrThrow("truncate", size);
      }
    } finally {
      leave();
    }
  }

  /**
   * Data and metadata are durable when this returns. An error means that data may be lost for good:
   * it is not retried.
   */
  public void fsync() throws ErrnoException {
    enter();
    try {
      check(LibC.CALLS.fsync(fd), "fsync");
    } finally {
      leave();
    }
  }

  /** Data and the metadata needed to read it back (the size) are durable when this returns. */
  public void fdatasync() throws ErrnoException {
    enter();
    try {
      check(LibC.CALLS.fdatasync(fd), "fdatasync");
    } finally {
      leave();
    }
  }

  /** Everything written to the filesystem that holds this file is durable when this returns. */
  public void syncfs() throws ErrnoException {
    enter();
    try {
      check(LibC.CALLS.syncfs(fd), "syncfs");
    } finally {
      leave();
    }
  }

  /**
   * Reserves disk space for the range and extends the file to its end if it is shorter; existing
   * bytes stay (posix_fallocate(3)).
   */
  public void allocate(long offset, long length) throws ErrnoException {
    enter();
    try {
      int errno;
      do {
        errno = LibC.CALLS.posix_fallocate(fd, offset, length);
      } while (errno == Errno.EINTR);
      if (errno != 0) {
        throw new ErrnoException(
            errno, "allocate " + length + " bytes of " + path + " at " + offset);
      }
    } finally {
      leave();
    }
  }

  /**
   * Idempotent; never blocks on other threads' calls. Errors of close(2) are not reported: what
   * must be durable is synced before.
   */
  @Override
  public void close() {
    users.getAndUpdate(n -> n | CLOSING);
    closeIfUnused();
  }

  @Override
  public String toString() {
    return path + " (descriptor " + fd + ")";
  }

  private int read(ByteBuffer into, long offset) throws ErrnoException {
    if (!into.hasRemaining()) {
      return 0;
    }
    while (true) {
      long n = LibC.CALLS.pread(fd, LibC.address(into), into.remaining(), offset);
      if (n >= 0) {
        into.position(into.position() + (int) n);
        return (int) n;
      }
      retryOrThrow("read", offset);
    }
  }

  private void enter() throws ErrnoException {
    if (users.incrementAndGet() < 0) {
      leave();
      throw new ErrnoException(Errno.EBADF, path + " is closed");
    }
  }

  private void leave() {
    if (users.decrementAndGet() == CLOSING) {
      closeIfUnused();
    }
  }

  private void closeIfUnused() {
    if (users.compareAndSet(CLOSING, CLOSED)) {
      LibC.CALLS.close(fd);
    }
  }

  private long check(long result, String what) throws ErrnoException {
    if (result < 0) {
      throw new ErrnoException(LibC.errno(), what + " " + path);
    }
    return result;
  }

  private void retryOrThrow(String what, long offset) throws ErrnoException {
    int errno = LibC.errno();
    if (errno != Errno.EINTR) {
      throw new ErrnoException(errno, what + " " + path + " at " + offset);
    }
  }
}

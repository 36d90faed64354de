package io.litefs.posix;

import com.kenai.jffi.MemoryIO;
import java.nio.ByteBuffer;
import jnr.ffi.LastError;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Runtime;
import jnr.ffi.types.mode_t;
import jnr.ffi.types.off_t;
import jnr.ffi.types.size_t;
import jnr.ffi.types.ssize_t;
import jnr.ffi.types.uintptr_t;

/**
 * File calls of libc; memory goes by address. Every call leaves its errno in {@link #errno()}. The
 * variadic open(2) may be declared with fixed arguments: both supported ABIs pass integers alike.
 */
final class LibC {

  static final Calls CALLS = LibraryLoader.create(Calls.class).failImmediately().load("libc.so.6");
  private static final Runtime RUNTIME = Runtime.getRuntime(CALLS);

  private LibC() {}

  /** The error number of this thread's last call. */
  static int errno() {
    return LastError.getLastError(RUNTIME);
  }

  /** The address of the byte at the buffer's position. */
  static long address(ByteBuffer direct) {
    if (!direct.isDirect()) {
      throw new IllegalArgumentException("direct buffer needed: the heap can move during the call");
    }
    return MemoryIO.getInstance().getDirectBufferAddress(direct) + direct.position();
  }

  /**
   * Public inside a package-private class: jnr-ffi implements it from a class loader of its own.
   */
  public interface Calls {

    int open(String path, int flags, @mode_t int mode);

    int close(int fd);

    @ssize_t
    long pread(int fd, @uintptr_t long address, @size_t long count, @off_t long offset);

    @ssize_t
    long pwrite(int fd, @uintptr_t long address, @size_t long count, @off_t long offset);

    @off_t
    long lseek(int fd, @off_t long offset, int whence);

    int ftruncate(int fd, @off_t long length);

    int fsync(int fd);

    int fdatasync(int fd);

    int syncfs(int fd);

    /** Returns the error number; errno stays as it was. */
    int posix_fallocate(int fd, @off_t long offset, @off_t long length);
  }
}

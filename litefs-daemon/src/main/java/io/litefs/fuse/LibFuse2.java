package io.litefs.fuse;

import jnr.ffi.LibraryLoader;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.annotations.Encoding;
import jnr.ffi.annotations.In;
import jnr.ffi.annotations.Out;
import jnr.ffi.types.size_t;
import jnr.ffi.types.uintptr_t;
import ru.serce.jnrfuse.struct.FuseOperations;

/**
 * The part of libfuse 2.9 that jnr-fuse does not bind: setting up a session without running its
 * loop, the parts of the loop, and notifications (fuse.h, fuse_common.h, fuse_lowlevel.h).
 *
 * <p>{@code fuse_new} must not be bound: by dlsym its name gives the ABI of version 2.1. The ones
 * here have their current version as default.
 */
final class LibFuse2 {

  /**
   * Public inside a package-private class: jnr-ffi implements it from a class loader of its own.
   */
  @Encoding("UTF-8")
  public interface Calls {

    /**
     * Parses options, mounts, and makes a session; null on failure, after a line on the standard
     * error.
     */
    Pointer fuse_setup(
        int argc,
        @In String[] argv,
        FuseOperations operations,
        @size_t long operationsSize,
        @Out Pointer[] mountPoint,
        @Out int[] multithreaded,
        Pointer userData);

    Pointer fuse_get_session(Pointer fuse);

    /**
     * Frees everything and closes {@code /dev/fuse}; leaves the mount point alone. No thread may be
     * inside the session.
     */
    void fuse_destroy(Pointer fuse);

    void fuse_remove_signal_handlers(Pointer session);

    Pointer fuse_session_next_chan(Pointer session, Pointer channel);

    void fuse_session_exit(Pointer session);

    int fuse_session_exited(Pointer session);

    int fuse_session_receive_buf(
        Pointer session, @uintptr_t long buffer, @uintptr_t long channelPointer);

    void fuse_session_process_buf(Pointer session, @uintptr_t long buffer, @uintptr_t long channel);

    int fuse_chan_fd(Pointer channel);

    @size_t
    long fuse_chan_bufsize(Pointer channel);

    Pointer fuse_chan_new(Pointer operations, int fd, @size_t long bufferSize, Pointer data);

    void fuse_chan_destroy(Pointer channel);

    int fuse_lowlevel_notify_store(
        Pointer channel, long node, long offset, @uintptr_t long bufvec, int flags);

    /** A negative offset: attributes only; length 0: to the end. */
    int fuse_lowlevel_notify_inval_inode(Pointer channel, long node, long offset, long length);

    int fuse_lowlevel_notify_inval_entry(
        Pointer channel, long parent, String name, @size_t long nameBytes);
  }

  static final String LIBRARY = "libfuse.so.2";

  private LibFuse2() {}

  /**
   * Loads the library.
   *
   * @throws MountException if it is not installed
   */
  static Calls load() throws MountException {
    try {
      return LibraryLoader.create(Calls.class).failImmediately().load(LIBRARY);
    } catch (UnsatisfiedLinkError e) {
      throw new MountException(
          LIBRARY
              + " cannot be loaded: install libfuse 2, e.g. apt-get install libfuse2 (or apk add fuse)",
          e);
    }
  }

  static Runtime runtime(Calls library) {
    return Runtime.getRuntime(library);
  }
}

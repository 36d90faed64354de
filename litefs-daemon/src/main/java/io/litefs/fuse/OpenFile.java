package io.litefs.fuse;

import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;

/**
 * An open handle (one per open(2), shared by duplicated and inherited descriptors).
 *
 * <p>Buffers are direct and belong to the transport: they are valid only until the method returns.
 */
public interface OpenFile {

  /** How the kernel may cache this handle's data; asked once, when the handle is made. */
  CachePolicy cachePolicy();

  FileAttributes attributes() throws ErrnoException;

  /**
   * Reads at {@code offset} until {@code into} is full or the file ends; advances the buffer's
   * position.
   */
  void read(ByteBuffer into, long offset) throws ErrnoException;

  /** Writes all of {@code from} at {@code offset}, or throws. */
  void write(ByteBuffer from, long offset) throws ErrnoException;

  void truncate(long size) throws ErrnoException;

  void fsync(boolean dataOnly) throws ErrnoException;

  /**
   * A descriptor of this handle was closed (close(2) returns the error); others may remain. {@code
   * pid} closed it.
   */
  void flush(int pid) throws ErrnoException;

  /** The last descriptor is gone. Errors reach nobody, hence none can be thrown. */
  void release();

  enum CachePolicy {
    /**
     * Pages stay in the kernel's cache across opens; whoever changes the file behind the kernel
     * tells {@link KernelCache}.
     */
    KEEP,
    /**
     * Every read and write reaches the daemon whole. mmap fails. For virtual files and the rollback
     * journal.
     */
    DIRECT
  }
}

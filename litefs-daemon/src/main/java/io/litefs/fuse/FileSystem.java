package io.litefs.fuse;

import io.litefs.posix.ErrnoException;
import java.util.List;

/**
 * The flat namespace below a mount point, as the transport sees it: files by name, no directories.
 *
 * <p>Names are single path components without a slash. Methods are called on the transport's
 * request threads, many at a time; they may block on disk, never on a lock that an application can
 * hold. Any {@link ErrnoException} is answered with its errno, any other {@link Throwable} with EIO
 * and a log line.
 */
public interface FileSystem {

  /**
   * The file called {@code name}, or null if there is none. The kernel remembers either answer (see
   * {@link KernelCache}).
   */
  MountedFile lookup(String name) throws ErrnoException;

  /**
   * Creates and opens a file (open(2) with O_CREAT). If the file exists by now, opens it unless
   * O_EXCL is set.
   */
  OpenFile create(String name, int mode, OpenRequest request) throws ErrnoException;

  /** Removes a name. Files that are open stay usable for their holders. */
  void unlink(String name, OpenRequest request) throws ErrnoException;

  /** Renames a file, replacing {@code to} if it exists. */
  void rename(String from, String to, OpenRequest request) throws ErrnoException;

  /** The names to list, without {@code .} and {@code ..}. */
  List<String> list();

  /**
   * Whether byte-range locks are this file system's, for all its files, which are {@link
   * LockingFile}s then; else the kernel keeps them, which costs no request. Asked once, at
   * mounting. No {@link Keepers} may have a file of one that keeps them.
   */
  default boolean keepsLocks() {
    return false;
  }
}

package io.litefs.daemon;

import io.litefs.fuse.FileLock;
import io.litefs.fuse.Keepers;
import io.litefs.fuse.KernelCacheNotifier;
import io.litefs.fuse.Mount;
import io.litefs.fuse.MountException;
import io.litefs.fuse.MountOptions;
import io.litefs.mount.LockFiles;
import io.litefs.mount.LockLinks;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The second mount, with the lock files: in a hidden directory beside the first ({@code
 * .NAME.locks} beside {@code NAME}), made when a link to a lock file is followed for the first
 * time.
 *
 * <p>Who follows a link waits in the kernel for our answer and holds nothing meanwhile that
 * mounting needs. The links are relative, so they are right wherever the directory above both
 * mounts is seen.
 *
 * <p>Thread-safe.
 */
final class LockMount implements LockLinks, Closeable {

  private static final Logger log = LoggerFactory.getLogger(LockMount.class);

  private final LockFiles files;
  private final Keepers keepers;
  private final MountOptions options;
  private final Path directory;

  /** Guarded by this, as all below. */
  private Mount mount;

  private KernelCacheNotifier kernel;
  private boolean closed;

  /**
   * @param databases the directory of the first mount
   * @throws MountException if it has no place beside it
   */
  LockMount(Path databases, LockFiles files, Keepers keepers, MountOptions options)
      throws MountException {
    Path first = Mount.resolve(databases);
    this.directory = first.resolveSibling("." + first.getFileName() + ".locks");
    this.files = files;
    this.keepers = keepers;
    this.options = options;
  }

  /** Removes what a predecessor that was killed has left. */
  void removeLeftover() {
    try {
      Mount.removeDead(directory, keepers);
      removeDirectory();
    } catch (MountException e) {
      log.warn("{}; lock files cannot be used", e.getMessage());
    }
  }

  /** The locks that are held or waited for. */
  List<FileLock> locks() {
    return files.locks();
  }

  @Override
  public String target(String name) {
    return "../" + directory.getFileName() + "/" + name;
  }

  @Override
  public synchronized void follow() throws ErrnoException {
    if (closed) {
      throw new ErrnoException(Errno.ENOLCK, "this node is stopping");
    }
    if (mount != null && mount.isMounted()) {
      return;
    }
    if (mount != null) {
      log.warn("{} was unmounted by somebody else; mounting it again", directory);
      mount.close();
      mount = null;
    }
    if (kernel == null) {
      kernel = new KernelCacheNotifier();
    }
    try {
      mount = Mount.mount(directory, files, kernel, keepers, options);
    } catch (MountException e) {
      log.warn("{}; lock files cannot be used", e.getMessage());
      throw new ErrnoException(Errno.ENOLCK, e.getMessage());
    }
    log.info("mounted {} for lock files", directory);
  }

  /** Gives all locks up, then unmounts. */
  @Override
  public synchronized void close() {
    closed = true;
    files.close();
    if (mount != null) {
      mount.close();
      mount = null;
      removeDirectory();
    }
  }

  /** Nobody misses it: it is made when it is needed. */
  private void removeDirectory() {
    try {
      Files.deleteIfExists(directory);
    } catch (IOException e) {
      log.debug("{} stays: {}", directory, e.toString());
    }
  }
}

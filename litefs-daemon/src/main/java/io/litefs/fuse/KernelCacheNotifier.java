package io.litefs.fuse;

import io.litefs.posix.Errno;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells the kernel through the mount's {@code /dev/fuse}. Made before the {@link Mount}; does
 * nothing until that is there, and nothing when it is gone.
 *
 * <p>Thread-safe. A store or an invalidation waits for requests on the same pages that are under
 * way (the kernel locks a page while it is read or written), so the caller must not hold a lock
 * that a handler's read or write needs. {@link #invalidateEntry} waits likewise for every LOOKUP,
 * CREATE, UNLINK and RENAME, on kernels before 6.16 always and in the kernel (see docs/fuse.md,
 * what a killed daemon leaves), on later ones only for a name that the kernel knows or is being
 * told of, and in Java.
 *
 * <p>A daemon that is killed while the kernel makes a store wait for a page that the daemon itself
 * was to serve does not end by itself, since the store holds {@code /dev/fuse} open. So {@link
 * Session} makes it wait in Java; only in the microseconds in which a request is on its way to us
 * it can happen, and the next daemon on the same mount point would free it ({@link MountPoint}).
 */
public final class KernelCacheNotifier implements KernelCache {

  private static final Logger log = LoggerFactory.getLogger(KernelCacheNotifier.class);

  /** Large stores are split, so that one does not fill the kernel's memory at a stroke. */
  private static final int MAX_STORE = 1 << 20;

  /**
   * Held for reading by notifications and for writing to attach and detach: a session is not freed
   * under a notification.
   */
  private final ReentrantReadWriteLock attachment = new ReentrantReadWriteLock();

  private final LinkedBlockingQueue<Runnable> queue = new LinkedBlockingQueue<>();

  /** Null when not mounted. Guarded by attachment. */
  private Session session;

  public KernelCacheNotifier() {
    Thread notifier = new Thread(this::runQueue, "litefs-notifier");
    notifier.setDaemon(true);
    notifier.start();
  }

  @Override
  public void store(String name, long offset, ByteBuffer data) {
    Lock lock = attachment.readLock();
    lock.lock();
    try {
      long node = node(name);
      if (node == NodeTable.NONE) {
        return; // the kernel has no page of it; it will ask
      }
      long address = Syscalls.address(data);
      for (int at = data.position(); at < data.limit(); at += MAX_STORE) {
        int length = Math.min(MAX_STORE, data.limit() - at);
        check(
            "store",
            name,
            session.store(node, offset + (at - data.position()), address + at, length));
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void invalidate(String name, long offset, long length) {
    Lock lock = attachment.readLock();
    lock.lock();
    try {
      long node = node(name);
      if (node != NodeTable.NONE) {
        check("invalidate", name, session.invalidateNode(node, offset, length));
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void invalidateAttributes(String name) {
    invalidate(name, Session.ATTRIBUTES_ONLY, 0);
  }

  /**
   * {@inheritDoc}
   *
   * <p>If the file does not exist any more, whoever has it open keeps the old one, and a new file
   * of that name will be another for the kernel too. If it exists it stays what it is: to replace
   * its content, invalidate its pages.
   */
  @Override
  public void invalidateEntry(String name) {
    Lock lock = attachment.readLock();
    lock.lock();
    try {
      if (session != null) {
        int bytes = name.getBytes(StandardCharsets.UTF_8).length;
        check("invalidate the entry of", name, session.invalidateEntry(name, bytes));
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void later(Runnable notification) {
    queue.add(notification);
  }

  void attach(Session mounted) {
    Lock lock = attachment.writeLock();
    lock.lock();
    try {
      session = mounted;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits for notifications under way; the session's loop must still run, since they may wait for
   * requests.
   */
  void detach() {
    attach(null);
  }

  private long node(String name) {
    return session == null ? NodeTable.NONE : session.nodes().id(name);
  }

  /**
   * ENOENT: the kernel has dropped the node since, and with it what it cached. The others come with
   * the end of the mount, whether it is ours or somebody called umount.
   */
  private static void check(String what, String name, int result) {
    switch (-result) {
      case 0, Errno.ENOENT -> {}
      case Errno.ENOTCONN, Errno.ENODEV, Errno.EPERM ->
          log.debug("cannot {} {}: {}", what, name, Errno.name(-result));
      default ->
          log.error("cannot {} {} in the kernel's cache: {}", what, name, Errno.name(-result));
    }
  }

  private void runQueue() {
    while (true) {
      try {
        queue.take().run();
      } catch (InterruptedException e) {
        return;
      } catch (RuntimeException | Error e) {
        // One bad notification must not keep the others from the kernel.
        log.error("notification failed", e);
      }
    }
  }
}

package io.litefs.fuse;

import java.nio.ByteBuffer;

/**
 * What the daemon tells the kernel about changes that the kernel did not make itself. The kernel
 * answers reads from its page cache and attributes and names (absent ones too) for an hour, so
 * every such change must be told.
 *
 * <p>Never call these from inside a handler of the same file, nor (for entries) from inside any
 * handler: the kernel holds locks then. Handlers use {@link #later}. Calls are no-ops for what the
 * kernel does not know, and once the mount is gone.
 */
public interface KernelCache {

  /**
   * Puts {@code data} (direct, position to limit) into the kernel's page cache at {@code offset};
   * mappings see it at once. Call after the backing file has the same bytes. A store beyond the end
   * grows the file as the kernel sees it.
   */
  void store(String name, long offset, ByteBuffer data);

  /**
   * Drops cached pages from {@code offset} on ({@code length} 0: to the end) and the attributes.
   * Never on {@code -shm}.
   */
  void invalidate(String name, long offset, long length);

  /** Drops the attributes only. */
  void invalidateAttributes(String name);

  /** Drops a name that appeared, vanished or changed its file without the kernel's knowledge. */
  void invalidateEntry(String name);

  /** Runs {@code notification} soon on the notifier thread, in order; for use inside handlers. */
  void later(Runnable notification);
}

package io.litefs.fuse;

import java.nio.ByteBuffer;

/** The kernel's side of a {@link Mount}; made before it, and does nothing until it is there. */
public final class KernelCacheNotifier implements KernelCache {

  @Override
  public void store(String name, long offset, ByteBuffer data) {}

  @Override
  public void invalidate(String name, long offset, long length) {}

  @Override
  public void invalidateAttributes(String name) {}

  @Override
  public void invalidateEntry(String name) {}

  @Override
  public void later(Runnable notification) {}
}

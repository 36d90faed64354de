package io.litefs.fuse;

import java.nio.file.Path;

/** A mounted {@link FileSystem}. */
public final class Mount implements AutoCloseable {

  private final RequestCounters counters = new RequestCounters();

  private Mount() {}

  /** Mounts {@code fs} on {@code directory} and returns once the mount answers. */
  public static Mount mount(
      Path directory, FileSystem fs, KernelCacheNotifier cache, Keepers keepers, MountOptions options)
      throws MountException {
    throw new MountException("not yet: " + directory + fs + cache + keepers + options);
  }

  public RequestCounters counters() {
    return counters;
  }

  /** Takes the mount away, whether or not its files are open. Idempotent. */
  public void unmount() {}

  @Override
  public void close() {
    unmount();
  }
}

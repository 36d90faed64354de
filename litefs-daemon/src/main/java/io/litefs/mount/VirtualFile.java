package io.litefs.mount;

import io.litefs.fuse.FileAttributes;
import io.litefs.fuse.MountedFile;
import io.litefs.fuse.OpenFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * A small read-only file that litefs makes up: {@code .primary}, {@code .lag}, {@code <db>-pos}.
 */
final class VirtualFile implements MountedFile {

  private static final int MODE = 0444;

  private final Supplier<String> content;
  private final LongSupplier modifiedMillis;

  private VirtualFile(Supplier<String> content, LongSupplier modifiedMillis) {
    this.content = content;
    this.modifiedMillis = modifiedMillis;
  }

  static VirtualFile of(Supplier<String> content, LongSupplier modifiedMillis) {
    return new VirtualFile(content, modifiedMillis);
  }

  private byte[] bytes() {
    return content.get().getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public FileAttributes attributes() {
    return new FileAttributes(bytes().length, MODE, modifiedMillis.getAsLong());
  }

  @Override
  public OpenFile open(OpenRequest request) throws ErrnoException {
    return new Handle();
  }

  @Override
  public void truncate(long size, OpenRequest request) throws ErrnoException {
    throw readOnly();
  }

  private static ErrnoException readOnly() {
    return new ErrnoException(Errno.EACCES, "a virtual file cannot be written to");
  }

  /**
   * Reads see the content as of the read that began at offset 0, so that a reader in pieces gets
   * one version.
   */
  private final class Handle implements OpenFile {
    private byte[] snapshot;

    @Override
    public CachePolicy cachePolicy() {
      return CachePolicy.DIRECT;
    }

    @Override
    public FileAttributes attributes() {
      return VirtualFile.this.attributes();
    }

    @Override
    public synchronized void read(ByteBuffer into, long offset) {
      if (offset == 0 || snapshot == null) {
        snapshot = bytes();
      }
      if (offset < snapshot.length) {
        int start = (int) offset;
        into.put(snapshot, start, Math.min(into.remaining(), snapshot.length - start));
      }
    }

    @Override
    public void write(ByteBuffer from, long offset) throws ErrnoException {
      throw readOnly();
    }

    @Override
    public void truncate(long size) throws ErrnoException {
      throw readOnly();
    }

    @Override
    public void fsync(boolean dataOnly) {
      // There is nothing to sync.
    }

    @Override
    public void flush(int pid) {
      // Nothing is held back.
    }

    @Override
    public void release() {
      // Nothing is held.
    }
  }
}

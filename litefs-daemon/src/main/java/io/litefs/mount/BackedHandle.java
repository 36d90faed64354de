package io.litefs.mount;

import io.litefs.fuse.FileAttributes;
import io.litefs.fuse.OpenFile;
import io.litefs.posix.ErrnoException;
import io.litefs.store.BackingFile;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * An open handle on a file of the data directory: reads go straight there, changes through the
 * database.
 */
abstract class BackedHandle implements OpenFile {

  final BackingFile file;
  private final AtomicBoolean released = new AtomicBoolean();

  /**
   * @param file acquired for this handle
   */
  BackedHandle(BackingFile file) {
    this.file = file;
  }

  abstract int mode();

  @Override
  public CachePolicy cachePolicy() {
    return CachePolicy.KEEP;
  }

  @Override
  public FileAttributes attributes() throws ErrnoException {
    return new FileAttributes(file.size(), mode(), file.modifiedMillis());
  }

  @Override
  public void read(ByteBuffer into, long offset) throws ErrnoException {
    file.file().preadMost(into, offset);
  }

  @Override
  public void flush(int pid) throws ErrnoException {
    // Nothing is held back.
  }

  @Override
  public void release() {
    if (released.compareAndSet(false, true)) {
      file.release();
    }
  }
}

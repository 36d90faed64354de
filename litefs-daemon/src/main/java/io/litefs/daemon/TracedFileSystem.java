package io.litefs.daemon;

import io.litefs.fuse.FileAttributes;
import io.litefs.fuse.FileSystem;
import io.litefs.fuse.MountedFile;
import io.litefs.fuse.MountedLink;
import io.litefs.fuse.OpenFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The trace log: writes one line for each operation that reaches a file system, with its result and
 * how long it took. Operations that the kernel answers itself (most of a read transaction) never
 * come here.
 */
final class TracedFileSystem implements FileSystem {

  /** The logger that the lines go to. */
  static final String LOGGER = "io.litefs.trace";

  private static final Logger log = LoggerFactory.getLogger(LOGGER);

  private final FileSystem traced;

  TracedFileSystem(FileSystem traced) {
    this.traced = traced;
  }

  @FunctionalInterface
  private interface Operation<T> {
    T run() throws ErrnoException;
  }

  @FunctionalInterface
  private interface Action {
    void run() throws ErrnoException;
  }

  private static <T> T trace(String operation, String name, String detail, Operation<T> action)
      throws ErrnoException {
    long start = System.nanoTime();
    String result = "failed";
    try {
      T value = action.run();
      result = value == null ? "none" : "ok";
      return value;
    } catch (ErrnoException e) {
      result = Errno.name(e.errno());
      throw e;
    } finally {
      log.info(
          "{} {}{}: {} in {} us",
          operation,
          name,
          detail,
          result,
          (System.nanoTime() - start) / 1000);
    }
  }

  private static void trace(String operation, String name, String detail, Action action)
      throws ErrnoException {
    trace(
        operation,
        name,
        detail,
        () -> {
          action.run();
          return Boolean.TRUE;
        });
  }

  private static String detail(OpenRequest request) {
    return " flags=0" + Integer.toOctalString(request.flags()) + " pid=" + request.pid();
  }

  @Override
  public MountedFile lookup(String name) throws ErrnoException {
    MountedFile file = trace("lookup", name, "", () -> traced.lookup(name));
    if (file instanceof MountedLink link) {
      return new TracedLink(name, link);
    }
    return file == null ? null : new TracedFile(name, file);
  }

  @Override
  public OpenFile create(String name, int mode, OpenRequest request) throws ErrnoException {
    String detail = " mode=0" + Integer.toOctalString(mode) + detail(request);
    return new TracedHandle(
        name, trace("create", name, detail, () -> traced.create(name, mode, request)));
  }

  @Override
  public void unlink(String name, OpenRequest request) throws ErrnoException {
    trace("unlink", name, detail(request), () -> traced.unlink(name, request));
  }

  @Override
  public void rename(String from, String to, OpenRequest request) throws ErrnoException {
    trace("rename", from, " to=" + to + detail(request), () -> traced.rename(from, to, request));
  }

  @Override
  public List<String> list() {
    return traced.list();
  }

  private record TracedLink(String name, MountedLink traced) implements MountedLink {

    @Override
    public FileAttributes attributes() throws ErrnoException {
      return trace("getattr", name, "", traced::attributes);
    }

    @Override
    public String target() throws ErrnoException {
      return trace("readlink", name, "", traced::target);
    }
  }

  private record TracedFile(String name, MountedFile traced) implements MountedFile {

    @Override
    public FileAttributes attributes() throws ErrnoException {
      return trace("getattr", name, "", traced::attributes);
    }

    @Override
    public OpenFile open(OpenRequest request) throws ErrnoException {
      return new TracedHandle(
          name, trace("open", name, detail(request), () -> traced.open(request)));
    }

    @Override
    public void truncate(long size, OpenRequest request) throws ErrnoException {
      trace(
          "truncate",
          name,
          " size=" + size + detail(request),
          () -> traced.truncate(size, request));
    }
  }

  private record TracedHandle(String name, OpenFile traced) implements OpenFile {

    private static String range(ByteBuffer data, long offset) {
      return " offset=" + offset + " size=" + data.remaining();
    }

    @Override
    public CachePolicy cachePolicy() {
      return traced.cachePolicy();
    }

    @Override
    public FileAttributes attributes() throws ErrnoException {
      return trace("fgetattr", name, "", traced::attributes);
    }

    @Override
    public void read(ByteBuffer into, long offset) throws ErrnoException {
      trace("read", name, range(into, offset), () -> traced.read(into, offset));
    }

    @Override
    public void write(ByteBuffer from, long offset) throws ErrnoException {
      trace("write", name, range(from, offset), () -> traced.write(from, offset));
    }

    @Override
    public void truncate(long size) throws ErrnoException {
      trace("ftruncate", name, " size=" + size, () -> traced.truncate(size));
    }

    @Override
    public void fsync(boolean dataOnly) throws ErrnoException {
      trace(dataOnly ? "fdatasync" : "fsync", name, "", () -> traced.fsync(dataOnly));
    }

    @Override
    public void flush(int pid) throws ErrnoException {
      trace("flush", name, " pid=" + pid, () -> traced.flush(pid));
    }

    @Override
    public void release() {
      traced.release();
      log.info("release {}", name);
    }
  }
}

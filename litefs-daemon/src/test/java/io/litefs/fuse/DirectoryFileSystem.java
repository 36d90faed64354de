package io.litefs.fuse;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Passes everything on to a directory. Names decide on special behaviour: {@code direct*} and
 * {@code *-journal} are not cached, {@code explode*} throws when it is read, {@code slow*} waits
 * for {@link #slowMayGo} in fsync, {@code stuck*} in read, {@code unborn*} in create, {@code
 * newborn*} there too once they are made.
 */
final class DirectoryFileSystem implements FileSystem {

  final CountDownLatch slowMayGo = new CountDownLatch(1);
  final AtomicInteger slowWaiting = new AtomicInteger();

  /** Process that did the latest open, create, unlink or flush. */
  volatile int latestPid;

  private final Path directory;

  DirectoryFileSystem(Path directory) {
    this.directory = directory;
  }

  @Override
  public MountedFile lookup(String name) {
    Path path = directory.resolve(name);
    return Files.exists(path) ? new File(path) : null;
  }

  @Override
  public OpenFile create(String name, int mode, OpenRequest request) throws ErrnoException {
    latestPid = request.pid();
    int exclusive = request.exclusive() ? PosixFile.O_EXCL : 0;
    if (name.startsWith("unborn")) {
      awaitGo(name);
    }
    Path path = directory.resolve(name);
    PosixFile file = PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT | exclusive, mode);
    if (name.startsWith("newborn")) {
      awaitGo(name);
    }
    return new Handle(path, file);
  }

  @Override
  public void unlink(String name, OpenRequest request) throws ErrnoException {
    latestPid = request.pid();
    try {
      Files.delete(directory.resolve(name));
    } catch (IOException e) {
      throw new ErrnoException(Errno.ENOENT, name, e);
    }
  }

  @Override
  public void rename(String from, String to, OpenRequest request) throws ErrnoException {
    try {
      Files.move(
          directory.resolve(from), directory.resolve(to), StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new ErrnoException(Errno.EIO, from, e);
    }
  }

  @Override
  public List<String> list() {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(path -> path.getFileName().toString()).collect(Collectors.toList());
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private void awaitGo(String name) throws ErrnoException {
    slowWaiting.incrementAndGet();
    try {
      slowMayGo.await();
    } catch (InterruptedException e) {
      throw new ErrnoException(Errno.EINTR, name);
    }
  }

  private final class File implements MountedFile {
    private final Path path;

    File(Path path) {
      this.path = path;
    }

    @Override
    public FileAttributes attributes() throws ErrnoException {
      try {
        return new FileAttributes(
            Files.size(path), 0644, Files.getLastModifiedTime(path).toMillis());
      } catch (IOException e) {
        throw new ErrnoException(Errno.ENOENT, path.toString(), e);
      }
    }

    @Override
    public OpenFile open(OpenRequest request) throws ErrnoException {
      latestPid = request.pid();
      return new Handle(path, PosixFile.open(path, PosixFile.O_RDWR, 0));
    }

    @Override
    public void truncate(long size, OpenRequest request) throws ErrnoException {
      try (PosixFile file = PosixFile.open(path, PosixFile.O_RDWR, 0)) {
        file.truncate(size);
      }
    }
  }

  private final class Handle implements OpenFile {
    private final String name;
    private final PosixFile file;

    Handle(Path path, PosixFile file) {
      this.name = path.getFileName().toString();
      this.file = file;
    }

    @Override
    public CachePolicy cachePolicy() {
      return name.startsWith("direct") || name.endsWith("-journal")
          ? CachePolicy.DIRECT
          : CachePolicy.KEEP;
    }

    @Override
    public FileAttributes attributes() throws ErrnoException {
      return new FileAttributes(file.size(), 0644, 0);
    }

    @Override
    public void read(ByteBuffer into, long offset) throws ErrnoException {
      if (name.startsWith("explode")) {
        throw new IllegalStateException("as the name says");
      }
      if (name.startsWith("stuck")) {
        awaitGo(name);
      }
      file.preadMost(into, offset);
    }

    @Override
    public void write(ByteBuffer from, long offset) throws ErrnoException {
      file.pwrite(from, offset);
    }

    @Override
    public void truncate(long size) throws ErrnoException {
      file.truncate(size);
    }

    @Override
    public void fsync(boolean dataOnly) throws ErrnoException {
      if (name.startsWith("slow")) {
        awaitGo(name);
      }
      file.fdatasync();
    }

    @Override
    public void flush(int pid) {
      latestPid = pid;
    }

    @Override
    public void release() {
      file.close();
    }
  }
}

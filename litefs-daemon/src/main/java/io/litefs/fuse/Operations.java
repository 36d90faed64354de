package io.litefs.fuse;

import com.kenai.jffi.MemoryIO;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import jnr.ffi.Pointer;
import jnr.ffi.Struct;
import jnr.ffi.provider.jffi.ClosureHelper;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ru.serce.jnrfuse.FuseFillDir;
import ru.serce.jnrfuse.FuseStubFS;
import ru.serce.jnrfuse.struct.FuseOperations;

/**
 * Turns libfuse's callbacks into calls of a {@link FileSystem}.
 *
 * <p>Operations that are left out on purpose: {@code lock} and {@code flock} (the kernel keeps the
 * locks, see the package description; a file system that keeps them itself has {@code lock}, only
 * so that libfuse asks the kernel for the requests, which {@link LockRequests} answers), {@code
 * access} (its absence makes the kernel answer access(2) of a file that exists without asking),
 * {@code fsyncdir} (SQLite syncs the directory after creating and deleting a journal; what must be
 * durable then is made so by those operations), extended attributes (else every write asks for
 * security.capability), {@code fallocate}.
 */
final class Operations extends FuseStubFS {

  /**
   * Runs inside a callback. An exception must not leave it: libfuse would take that for success.
   */
  private interface Body {
    int run() throws ErrnoException;
  }

  private static final Logger log = LoggerFactory.getLogger(Operations.class);
  private static final MemoryIO MEMORY = MemoryIO.getInstance();

  /**
   * struct fuse_file_info: int flags, unsigned long fh_old, int writepage, bits, uint64 fh.
   * jnr-fuse 0.5.8 places the bits wrong, so that its accessors for direct_io and keep_cache write
   * elsewhere.
   */
  private static final int FI_FLAGS = 0;

  private static final int FI_BITS = 20;
  private static final int FI_HANDLE = 24;
  private static final int DIRECT_IO = 1;
  private static final int KEEP_CACHE = 2;

  /** Where struct fuse_operations has its flags: behind bmap, the 38th function. */
  private static final int TABLE_FLAGS = 38 * 8;

  /**
   * flag_nullpath_ok and flag_nopath: requests by handle come without a path, which libfuse would
   * have to build and lock.
   */
  private static final byte NO_PATHS = 3;

  private static final int PERMISSIONS = 07777;

  private final FileSystem fs;
  private final NodeTable nodes;
  private final HandleTable handles;
  private final ProcessIds processes = new ProcessIds();
  private final NativeStat stat = new NativeStat();
  private final String dataDirectory;

  Operations(FileSystem fs, NodeTable nodes, HandleTable handles, Path dataDirectory) {
    this.fs = fs;
    this.nodes = nodes;
    this.handles = handles;
    this.dataDirectory = dataDirectory.toString();
    FuseOperations table = fuseOperations;
    table.getattr.set((path, buffer) -> guard("getattr", path, () -> getattr(path, buffer)));
    table.fgetattr.set((path, buffer, fi) -> guard("fgetattr", path, () -> fgetattr(buffer, fi)));
    table.readlink.set(
        (path, buffer, size) -> guard("readlink", path, () -> readLink(path, buffer, size)));
    table.open.set((path, fi) -> guard("open", path, () -> open(path, fi)));
    table.create.set((path, mode, fi) -> guard("create", path, () -> create(path, mode, fi)));
    table.read.set(
        (path, buffer, size, at, fi) -> guard("read", path, () -> read(buffer, size, at, fi)));
    table.write.set(
        (path, buffer, size, at, fi) -> guard("write", path, () -> write(buffer, size, at, fi)));
    table.truncate.set((path, size) -> guard("truncate", path, () -> resize(path, size)));
    table.ftruncate.set((path, size, fi) -> guard("ftruncate", path, () -> resizeOpen(size, fi)));
    table.fsync.set((path, dataOnly, fi) -> guard("fsync", path, () -> fsync(dataOnly != 0, fi)));
    table.flush.set((path, fi) -> guard("flush", path, () -> flush(fi)));
    table.release.set((path, fi) -> guard("release", path, () -> release(fi)));
    table.unlink.set(path -> guard("unlink", path, () -> remove(path)));
    table.rename.set((from, to) -> guard("rename", from, () -> move(from, to)));
    table.readdir.set(
        (path, buffer, fill, at, fi) -> guard("readdir", path, () -> readdir(buffer, fill)));
    table.statfs.set((path, buffer) -> guard("statfs", path, () -> statfs(buffer)));
    // Owner, mode and times of a database are those of the file in the data directory, alike on all
    // nodes; SQLite sets them on journals
    // and tools like tar and cp on anything. Refusing would break those, and nobody is helped by
    // remembering what they set.
    table.chmod.set((path, mode) -> 0);
    table.chown.set((path, uid, gid) -> 0);
    table.utimens.set((path, times) -> 0);
    table.mkdir.set((path, mode) -> refuse("mkdir", path));
    table.rmdir.set(path -> refuse("rmdir", path));
    table.mknod.set((path, mode, device) -> refuse("mknod", path));
    table.symlink.set((target, path) -> refuse("symlink", path));
    table.link.set((existing, path) -> refuse("link", path));
    if (fs.keepsLocks()) {
      // FLUSH comes here too, after LockRequests has seen it.
      table.lock.set((path, fi, command, flock) -> 0);
    }
    Struct.getMemory(table).putByte(TABLE_FLAGS, NO_PATHS);
  }

  /** See {@link FileSystem#keepsLocks}. */
  boolean keepLocks() {
    return fs.keepsLocks();
  }

  /** The native table; it and its callbacks live as long as this object. */
  FuseOperations table() {
    return fuseOperations;
  }

  private int getattr(String path, Pointer buffer) throws ErrnoException {
    if (path.equals("/")) {
      stat.directory(buffer);
      return 0;
    }
    String name = name(path);
    RequestThread.current().name = name;
    MountedFile file = fs.lookup(name);
    if (file == null) {
      return -Errno.ENOENT; // too ordinary for an exception: every commit looks for a journal
    }
    if (file instanceof MountedLink) {
      stat.link(buffer, file.attributes());
    } else {
      stat.file(buffer, file.attributes());
    }
    return 0;
  }

  private int readLink(String path, Pointer buffer, long size) throws ErrnoException {
    if (!(find(name(path)) instanceof MountedLink link)) {
      throw new ErrnoException(Errno.EINVAL, path + " is no link");
    }
    byte[] target = link.target().getBytes(StandardCharsets.UTF_8);
    if (target.length >= size) {
      throw new ErrnoException(Errno.ENAMETOOLONG, path);
    }
    buffer.put(0, target, 0, target.length);
    buffer.putByte(target.length, (byte) 0);
    return 0;
  }

  private int fgetattr(Pointer buffer, Pointer fi) throws ErrnoException {
    stat.file(buffer, file(fi).attributes());
    return 0;
  }

  private int open(String path, Pointer fi) throws ErrnoException {
    String name = name(path);
    MountedFile present = fs.lookup(name);
    if (present == null) {
      // The kernel remembers a name that has just gone. It looks again at this, and with O_CREAT
      // makes the file; ENOENT would be the application's.
      throw new ErrnoException(Errno.ESTALE, name);
    }
    OpenFile file = present.open(request(fi.getInt(FI_FLAGS)));
    register(
        new HandleTable.Handle(file, name, RequestHeader.node(RequestThread.current().request())),
        fi);
    return 0;
  }

  private int create(String path, long mode, Pointer fi) throws ErrnoException {
    String name = name(path);
    OpenRequest request = request(fi.getInt(FI_FLAGS));
    RequestThread thread = RequestThread.current();
    thread.name = name;
    OpenFile file = fs.create(name, (int) mode & PERMISSIONS, request);
    HandleTable.Handle handle = new HandleTable.Handle(file, name, NodeTable.NONE);
    try {
      // The file was there already: somebody else made it since this kernel looked.
      if (request.truncates() && file.attributes().size() > 0) {
        file.truncate(0);
      }
    } catch (Throwable e) {
      file.release();
      throw e;
    }
    thread.created = handle;
    register(handle, fi);
    return 0;
  }

  private void register(HandleTable.Handle handle, Pointer fi) {
    fi.putInt(FI_BITS, handle.policy == OpenFile.CachePolicy.DIRECT ? DIRECT_IO : KEEP_CACHE);
    fi.putLong(FI_HANDLE, handles.add(handle));
  }

  private int read(Pointer buffer, long size, long offset, Pointer fi) throws ErrnoException {
    ByteBuffer into = buffer(buffer, size);
    file(fi).read(into, offset);
    return into.position();
  }

  private int write(Pointer buffer, long size, long offset, Pointer fi) throws ErrnoException {
    file(fi).write(buffer(buffer, size), offset);
    return (int) size;
  }

  private int resize(String path, long size) throws ErrnoException {
    find(name(path)).truncate(size, request(0));
    return 0;
  }

  private int resizeOpen(long size, Pointer fi) throws ErrnoException {
    file(fi).truncate(size);
    return 0;
  }

  private int fsync(boolean dataOnly, Pointer fi) throws ErrnoException {
    file(fi).fsync(dataOnly);
    return 0;
  }

  private int flush(Pointer fi) throws ErrnoException {
    file(fi).flush(processes.of(RequestHeader.threadId(RequestThread.current().request())));
    return 0;
  }

  private int release(Pointer fi) {
    HandleTable.Handle handle = handles.remove(fi.getLong(FI_HANDLE));
    if (handle != null) {
      handle.file.release();
    }
    return 0;
  }

  private int remove(String path) throws ErrnoException {
    String name = name(path);
    if (!RequestThread.isCurrent()) {
      // Not the kernel: NodeForgetter wants libfuse to forget a name whose file is gone.
      if (fs.lookup(name) != null) {
        return -Errno.EEXIST;
      }
      nodes.unlink(name);
      return 0;
    }
    fs.unlink(name, request(0));
    nodes.unlink(name);
    return 0;
  }

  private int move(String from, String to) throws ErrnoException {
    fs.rename(name(from), name(to), request(0));
    nodes.rename(name(from), name(to));
    return 0;
  }

  private int readdir(Pointer buffer, Pointer fill) {
    ClosureHelper helper = ClosureHelper.getInstance();
    FuseFillDir filler =
        helper.getNativeConveter(FuseFillDir.class).fromNative(fill, helper.getFromNativeContext());
    filler.apply(buffer, terminated("."), null, 0);
    filler.apply(buffer, terminated(".."), null, 0);
    for (String name : fs.list()) {
      if (filler.apply(buffer, terminated(name), null, 0) != 0) {
        return -Errno.ENOMEM;
      }
    }
    return 0;
  }

  private int statfs(Pointer buffer) throws ErrnoException {
    if (Syscalls.CALLS.statvfs(dataDirectory, buffer.address()) != 0) {
      throw new ErrnoException(Syscalls.errno(), "statvfs " + dataDirectory);
    }
    return 0;
  }

  private MountedFile find(String name) throws ErrnoException {
    MountedFile file = fs.lookup(name);
    if (file == null) {
      throw new ErrnoException(Errno.ENOENT, name);
    }
    return file;
  }

  private OpenFile file(Pointer fi) throws ErrnoException {
    return handles.get(fi.getLong(FI_HANDLE)).file;
  }

  private OpenRequest request(int flags) {
    long request = RequestThread.current().request();
    return new OpenRequest(
        flags, processes.of(RequestHeader.threadId(request)), RequestHeader.uid(request));
  }

  private static ByteBuffer buffer(Pointer memory, long size) {
    return MEMORY.newDirectByteBuffer(memory.address(), (int) size).order(ByteOrder.BIG_ENDIAN);
  }

  /** The root is never asked for as a file, and there are no other directories. */
  private static String name(String path) {
    return path.substring(1);
  }

  private static ByteBuffer terminated(String name) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.wrap(Arrays.copyOf(bytes, bytes.length + 1));
  }

  private static int refuse(String operation, String path) {
    log.info("{} {} refused: a litefs mount is one flat directory of databases", operation, path);
    return -Errno.EPERM;
  }

  private static int guard(String operation, String path, Body body) {
    int result;
    try {
      result = body.run();
    } catch (ErrnoException e) {
      // Part of the conversation (ENOENT, EROFS, ENOSPC): who throws it logs what an operator
      // should see.
      log.trace("{} {}", operation, path, e);
      result = -e.errno();
    } catch (Throwable e) {
      log.error(
          "{} {} failed: the application gets EIO",
          operation,
          path == null ? "by handle" : path,
          e);
      result = -Errno.EIO;
    }
    log.trace("{} {}: {}", operation, path, result);
    return result;
  }
}

package io.litefs.mount;

import io.litefs.fuse.FileLock;
import io.litefs.fuse.FileSystem;
import io.litefs.fuse.LockHolder;
import io.litefs.fuse.MountedFile;
import io.litefs.fuse.OpenFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.fuse.RangeLock;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.store.Database;
import io.litefs.store.FileKind;
import io.litefs.store.ForwardedWrites;
import io.litefs.store.HaltSession;
import io.litefs.store.Store;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The lock files of all databases, as a file system that keeps locks itself. It is mounted apart
 * from the databases, whose locks the kernel keeps: that is one choice for a whole mount.
 */
public final class LockFiles implements FileSystem, AutoCloseable {

  private static final Logger logger = LoggerFactory.getLogger(LockFiles.class);

  /** How long another holder on this node is waited for at a time; who waits longer tries again. */
  private static final Duration OTHERS = Duration.ofSeconds(10);

  /** What giving all back may hold up the end of the daemon. */
  private static final Duration CLOSING = Duration.ofSeconds(3);

  private final Store store;
  private final Map<String, LockFile> files = new ConcurrentHashMap<>();
  private final ExecutorService executor =
      Executors.newCachedThreadPool(
          task -> {
            Thread thread = new Thread(task, "litefs-halt");
            thread.setDaemon(true);
            return thread;
          });

  public LockFiles(Store store) {
    this.store = store;
  }

  /** From the writes that this node forwards. */
  private static final class Forwarded implements HaltSource {
    private final Store store;

    Forwarded(Store store) {
      this.store = store;
    }

    @Override
    public boolean isNeeded() {
      return !store.isPrimary();
    }

    @Override
    public Halt take(String database) throws IOException, InterruptedException {
      ForwardedWrites writes = store.forwardedWrites();
      HaltSession session = writes.acquire(database, OTHERS);
      return new Halt() {
        @Override
        public boolean isActive() {
          return session.isActive();
        }

        @Override
        public void giveBack() {
          writes.release(session);
        }
      };
    }
  }

  private boolean exists(String name) {
    Database database = store.find(name);
    return database != null && database.file(FileKind.DATABASE) != null;
  }

  @Override
  public boolean keepsLocks() {
    return true;
  }

  @Override
  public MountedFile lookup(String name) {
    FileName file = FileName.parse(name, this::exists);
    if (file.kind() != FileName.Kind.LOCK) {
      return null;
    }
    Database database = store.find(file.database());
    // One file per name: a database that is dropped and made again keeps its lock.
    return files.computeIfAbsent(
        file.database(),
        key ->
            new LockFile(
                key,
                new Forwarded(store),
                executor,
                LockFile.Patience.DEFAULT,
                database::lastTransactionMillis));
  }

  @Override
  public OpenFile create(String name, int mode, OpenRequest request) throws ErrnoException {
    MountedFile existing = lookup(name);
    if (existing == null) {
      throw new ErrnoException(Errno.EPERM, "create " + name);
    }
    if (request.exclusive()) {
      throw new ErrnoException(Errno.EEXIST, name);
    }
    return existing.open(request);
  }

  @Override
  public void unlink(String name, OpenRequest request) throws ErrnoException {
    throw new ErrnoException(Errno.EPERM, "unlink " + name);
  }

  @Override
  public void rename(String from, String to, OpenRequest request) throws ErrnoException {
    throw new ErrnoException(Errno.EPERM, "rename " + from);
  }

  @Override
  public List<String> list() {
    return store.databaseList().stream()
        .map(Database::name)
        .filter(this::exists)
        .map(name -> name + "-lock")
        .toList();
  }

  /** The locks that are held or waited for. */
  public List<FileLock> locks() {
    List<FileLock> all = new ArrayList<>();
    files.forEach(
        (database, file) -> {
          file.held().forEach(lock -> all.add(describe(database, lock, false)));
          file.waitedFor().forEach(lock -> all.add(describe(database, lock, true)));
        });
    return all;
  }

  private static FileLock describe(String database, RangeLock lock, boolean waiting) {
    return new FileLock(
        database + "-lock",
        lock.write(),
        waiting,
        lock.first(),
        lock.last(),
        LockHolder.of(lock.pid()));
  }

  /** Gives all locks up and refuses more; waits a moment for the primary to know. */
  @Override
  public void close() {
    CompletableFuture<?>[] givenBack =
        files.values().stream().map(LockFile::close).toArray(CompletableFuture<?>[]::new);
    try {
      CompletableFuture.allOf(givenBack).get(CLOSING.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException | ExecutionException e) {
      logger.warn("the primary was not told that halt locks are given back: they expire");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    executor.shutdown();
  }
}

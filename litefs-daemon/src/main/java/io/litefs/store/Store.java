package io.litefs.store;

import io.litefs.fuse.Keepers;
import io.litefs.fuse.KernelCache;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.replication.ChangeSink;
import io.litefs.replication.ChangeSource;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * All databases of a node: the data directory, whether they may be written to, and who wants to
 * hear of their transactions.
 *
 * <p>Thread-safe. Databases are independent of each other: none ever waits for another.
 */
public final class Store implements ChangeSource, Closeable {

  private static final Logger log = LoggerFactory.getLogger(Store.class);
  private static final Duration BACKGROUND_SYNC = Duration.ofMillis(100);

  private enum Role {
    NONE,
    PRIMARY,
    REPLICA
  }

  private final StoreOptions options;
  private final KernelCache kernelCache;
  private final Keepers keepers;
  private final Path mountPoint;
  private final long nodeId = new SecureRandom().nextLong();
  private final FileChannel lockChannel;
  private final ClusterIdFile clusterIdFile;
  private final ConcurrentSkipListMap<String, Database> databases = new ConcurrentSkipListMap<>();
  private final CopyOnWriteArrayList<Runnable> changeListeners = new CopyOnWriteArrayList<>();
  private final CopyOnWriteArrayList<Consumer<TransactionEvent>> transactionListeners =
      new CopyOnWriteArrayList<>();
  private final ScheduledExecutorService maintenance =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "litefs-maintenance");
            thread.setDaemon(true);
            return thread;
          });

  private volatile Role role = Role.NONE;
  private volatile boolean candidate = true;

  private Store(
      StoreOptions options,
      KernelCache kernelCache,
      Keepers keepers,
      Path mountPoint,
      FileChannel lockChannel)
      throws IOException {
    this.options = options;
    this.kernelCache = kernelCache;
    this.keepers = keepers;
    this.mountPoint = mountPoint;
    this.lockChannel = lockChannel;
    this.clusterIdFile = new ClusterIdFile(options.dir());
  }

  /**
   * Opens a data directory, made if it does not exist, and recovers every database in it.
   *
   * @param mountPoint where the databases will be mounted; the daemon itself takes SQLite's locks
   *     there
   * @throws StoreException if another daemon holds the directory, or it cannot be used
   */
  public static Store open(
      StoreOptions options, KernelCache kernelCache, Keepers keepers, Path mountPoint)
      throws IOException {
    FileChannel lockChannel = lockDirectory(options.dir());
    Store store;
    try {
      store = new Store(options, kernelCache, keepers, mountPoint, lockChannel);
      store.openDatabases();
    } catch (IOException | RuntimeException e) {
      lockChannel.close();
      throw e;
    }
    store.startMaintenance();
    return store;
  }

  private static FileChannel lockDirectory(Path dir) throws IOException {
    FileChannel channel;
    try {
      Files.createDirectories(dir.resolve("dbs"));
      channel =
          FileChannel.open(
              dir.resolve(".lock"),
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new StoreException(
          "data directory "
              + dir
              + " cannot be used: "
              + reason(e)
              + "; make it writable or set data.dir",
          e);
    }
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    }
    if (lock == null) {
      String holder = Files.readString(dir.resolve(".lock")).strip();
      channel.close();
      throw new StoreException(
          "data directory "
              + dir
              + " is in use by another litefs (pid "
              + holder
              + "); stop it or set another data.dir");
    }
    channel.truncate(0);
    channel.write(
        java.nio.ByteBuffer.wrap(
            (ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.US_ASCII)));
    return channel;
  }

  private static String reason(IOException e) {
    return e.getClass().getSimpleName().replace("Exception", "") + " " + e.getMessage();
  }

  private void openDatabases() throws IOException {
    try (DirectoryStream<Path> dirs = Files.newDirectoryStream(options.dir().resolve("dbs"))) {
      for (Path dir : dirs) {
        if (Files.isDirectory(dir)) {
          String name = dir.getFileName().toString();
          Database database = newDatabase(name);
          try {
            new Recovery(database).run();
            databases.put(name, database);
          } catch (IOException e) {
            database.close();
            Path aside = quarantine(dir);
            log.error(
                "database {} cannot be recovered and is not served: {}; all of it is kept in {}",
                name,
                e.getMessage(),
                aside);
          }
        }
      }
    }
  }

  /** Moves a database's directory out of the way, whole. */
  private Path quarantine(Path dir) throws IOException {
    Path target =
        options
            .dir()
            .resolve("quarantine")
            .resolve(dir.getFileName() + "-" + System.currentTimeMillis());
    Files.createDirectories(target.getParent());
    return Files.move(dir, target);
  }

  private void startMaintenance() {
    maintenance.scheduleWithFixedDelay(
        this::syncLogs,
        BACKGROUND_SYNC.toMillis(),
        BACKGROUND_SYNC.toMillis(),
        TimeUnit.MILLISECONDS);
    long interval = Math.max(1, options.retentionMonitorInterval().toMillis());
    maintenance.scheduleWithFixedDelay(
        this::enforceRetention, interval, interval, TimeUnit.MILLISECONDS);
  }

  private void syncLogs() {
    for (Database database : databases.values()) {
      try {
        if (database.log().hasUnsynced()) {
          database.log().sync();
        }
      } catch (ErrnoException | RuntimeException e) {
        log.error("cannot sync the log of {}: {}", database.name(), e.getMessage());
      }
    }
  }

  private void enforceRetention() {
    long cutoff = System.currentTimeMillis() - options.retention().toMillis();
    for (Database database : databases.values()) {
      try {
        int removed = database.log().removeOlderThan(cutoff);
        database.metrics().reaps.add(removed);
      } catch (IOException | RuntimeException e) {
        log.error("cannot remove old LTX files of {}: {}", database.name(), e.getMessage());
      }
    }
  }

  // ------------------------------------------------------------ the node

  public long nodeId() {
    return nodeId;
  }

  /**
   * The cluster's id, {@code LFSC} and 16 hex digits; null as long as this node belongs to none.
   */
  public String clusterId() {
    return clusterIdFile.get();
  }

  /** Joins a cluster. */
  public void adoptClusterId(String id) throws StoreException {
    clusterIdFile.adopt(id);
  }

  /** Lets applications write; a node that belongs to no cluster founds one. */
  public void becomePrimary() throws StoreException {
    clusterIdFile.createIfAbsent();
    role = Role.PRIMARY;
    notifyChange();
  }

  /**
   * Refuses applications' writes from now on. {@code candidate} says whether this node can be
   * primary later.
   */
  public void becomeReplica(boolean candidate) {
    this.candidate = candidate;
    role = Role.REPLICA;
    notifyChange();
  }

  @Override
  public boolean isPrimary() {
    return role == Role.PRIMARY;
  }

  /**
   * Whether this node may become primary: then applications may open files for writing on a
   * replica.
   */
  public boolean isCandidate() {
    return candidate;
  }

  /**
   * @throws ErrnoException EROFS unless this node is the primary
   */
  public void requireWritable(String name) throws ErrnoException {
    if (role != Role.PRIMARY) {
      throw new ErrnoException(Errno.EROFS, name + ": this node is not the primary");
    }
  }

  StoreOptions options() {
    return options;
  }

  KernelCache kernelCache() {
    return kernelCache;
  }

  Keepers keepers() {
    return keepers;
  }

  Path mountPoint() {
    return mountPoint;
  }

  // ------------------------------------------------------------ databases

  /** All databases, dropped ones included as long as their log is there. */
  public Collection<Database> databaseList() {
    return databases.values();
  }

  /** The database, dropped or not; null if there is none. */
  public Database find(String name) {
    return databases.get(name);
  }

  /** The database, made (empty) if there is none. */
  public Database findOrCreate(String name) throws ErrnoException {
    Database existing = databases.get(name);
    if (existing != null) {
      return existing;
    }
    try {
      DatabaseNames.require(name, this::exists);
    } catch (StoreException e) {
      throw new ErrnoException(Errno.EINVAL, e.getMessage());
    }
    synchronized (databases) {
      existing = databases.get(name);
      if (existing == null) {
        try {
          existing = newDatabase(name);
        } catch (ErrnoException e) {
          throw e;
        } catch (IOException e) {
          throw new ErrnoException(
              Errno.EIO, "cannot create database " + name + ": " + e.getMessage());
        }
        databases.put(name, existing);
      }
      return existing;
    }
  }

  private boolean exists(String name) {
    Database database = databases.get(name);
    return database != null && database.file(FileKind.DATABASE) != null;
  }

  private Database newDatabase(String name) throws IOException {
    Path dir = options.dir().resolve("dbs").resolve(name);
    LtxLog ltxLog = LtxLog.open(dir.resolve("ltx"), options.durability() == Durability.ALWAYS);
    return new Database(this, name, new DatabaseFiles(dir), ltxLog);
  }

  /** A database's file is gone. One that never had a transaction leaves nothing behind. */
  void dropped(Database database) {
    if (database.pos().equals(Pos.ZERO) && databases.remove(database.name(), database)) {
      Path dir = database.files().dir();
      database.close();
      try {
        Files.deleteIfExists(dir.resolve("ltx"));
        Files.deleteIfExists(dir);
      } catch (IOException e) {
        log.warn("cannot remove {}: {}", dir, e.getMessage());
      }
    }
  }

  /** Takes a database out of service and moves its files out of the way. */
  Path setAside(Database database) throws IOException {
    databases.remove(database.name(), database);
    database.close();
    Path kept = quarantine(database.files().dir());
    kernelCache.invalidateEntry(database.name());
    namesChanged(database.name());
    return kept;
  }

  /** Renames a database: creation under the new name, drop of the old one. */
  public void rename(String from, String to) throws ErrnoException {
    Database source = databases.get(from);
    if (source == null) {
      throw new ErrnoException(Errno.ENOENT, from);
    }
    findOrCreate(to).takeOver(source);
  }

  /**
   * The kernel may remember the names of a database that has just appeared or vanished as they
   * were.
   */
  void namesChanged(String name) {
    kernelCache.later(
        () -> {
          for (String suffix : List.of("-pos", "-wal", "-shm", "-journal")) {
            kernelCache.invalidateEntry(name + suffix);
          }
        });
    notifyChange();
  }

  /**
   * Waits until a database has reached a TXID.
   *
   * @return false if it has not within {@code timeout}, or there is no such database
   */
  public boolean awaitTxid(String name, Txid txid, Duration timeout) throws InterruptedException {
    Database database = databases.get(name);
    return database != null && database.awaitTxid(txid, timeout);
  }

  /**
   * Replaces or creates a database by the SQLite database that {@code in} holds, in one
   * transaction. Primary only.
   */
  public void importDatabase(String name, InputStream in) throws IOException {
    requireWritable(name);
    new Importer(this).run(name, in);
  }

  /** The database as of one position; null if there is none. */
  public Export export(String name) throws IOException {
    Database database = databases.get(name);
    return database == null || !database.state().exists() ? null : Snapshots.export(database);
  }

  /** What feeds this store from a primary's stream. */
  public ChangeSink replicaSink(ReplicaListener listener) {
    return new ReplicaSink(this, listener);
  }

  // ------------------------------------------------------------ who listens

  /**
   * Calls {@code listener} with each transaction, in order per database, on the committing thread.
   * It must not block.
   */
  public Closeable onTransaction(Consumer<TransactionEvent> listener) {
    transactionListeners.add(listener);
    return () -> transactionListeners.remove(listener);
  }

  void published(TransactionEvent event) {
    for (Consumer<TransactionEvent> listener : transactionListeners) {
      listener.accept(event);
    }
    notifyChange();
  }

  private void notifyChange() {
    for (Runnable listener : changeListeners) {
      listener.run();
    }
  }

  // ------------------------------------------------------------ ChangeSource

  @Override
  public Set<String> databases() {
    Set<String> names = new TreeSet<>();
    for (Database database : databases.values()) {
      if (!database.pos().equals(Pos.ZERO)) {
        names.add(database.name());
      }
    }
    return names;
  }

  @Override
  public Pos position(String name) {
    Database database = databases.get(name);
    return database == null || database.pos().equals(Pos.ZERO) ? null : database.pos();
  }

  @Override
  public LtxFile next(String name, Pos after) throws IOException {
    Database database = databases.get(name);
    return database == null ? null : LogFile.openNext(database, after);
  }

  @Override
  public LtxFile snapshot(String name) throws IOException {
    Database database = databases.get(name);
    return database == null || database.pos().equals(Pos.ZERO) ? null : Snapshots.ltx(database);
  }

  @Override
  public Closeable onChange(Runnable listener) {
    changeListeners.add(listener);
    return () -> changeListeners.remove(listener);
  }

  /** Syncs and closes everything. The mount must be gone by now. */
  @Override
  public void close() throws IOException {
    maintenance.shutdownNow();
    List<Database> open = new ArrayList<>(databases.values());
    open.forEach(Database::close);
    lockChannel.close();
  }
}

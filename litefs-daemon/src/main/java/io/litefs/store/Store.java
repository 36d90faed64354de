package io.litefs.store;

import io.litefs.fuse.Keepers;
import io.litefs.fuse.KernelCache;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.replication.ChangeSink;
import io.litefs.replication.ChangeSource;
import io.litefs.replication.WithheldException;
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
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
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

  /** How long applications may hold up what must be applied before this node leads. */
  private static final Duration PROMOTION_PATIENCE = Duration.ofSeconds(5);

  /** Errors that say nothing about the database that was being opened. */
  private static final Set<Integer> FAULTS_OF_THE_MACHINE =
      Set.of(
          Errno.ENOSPC,
          Errno.EDQUOT,
          Errno.EROFS,
          Errno.EACCES,
          Errno.EPERM,
          Errno.EMFILE,
          Errno.ENFILE,
          Errno.ENOMEM);

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
  private final AgreedPositions agreed;
  private final Divergence divergence;
  private final Quarantine quarantine;
  private final ConcurrentSkipListMap<String, Database> databases = new ConcurrentSkipListMap<>();
  private final CopyOnWriteArrayList<Runnable> changeListeners = new CopyOnWriteArrayList<>();
  private final CopyOnWriteArrayList<Consumer<TransactionEvent>> transactionListeners =
      new CopyOnWriteArrayList<>();
  private final Maintenance maintenance;
  private final Soundness soundness;

  private volatile StoreObserver observer = StoreObserver.NONE;
  private final HaltLocks haltLocks = new HaltLocks(this);
  private final ForwardedWrites forwardedWrites = new ForwardedWrites(this);

  /** Null if commits wait for nobody. */
  private volatile CommitSync commitSync;

  /** Another one only while a handoff is prepared. */
  private volatile CommitPace pace = CommitPace.FREE;

  private volatile Role role = Role.NONE;

  /** Whether this node, as the primary, may commit at this instant. */
  private volatile BooleanSupplier lease = () -> false;

  /** What is fed from the primary, or keeps applications from writing; null on a primary. */
  private volatile ReplicaSink sink;

  private volatile boolean candidate = true;
  private final DiskReserve reserve;

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
    this.reserve = new DiskReserve(options.dir());
    this.agreed = new AgreedPositions(options.dir());
    this.divergence = new Divergence(options, agreed);
    this.quarantine = new Quarantine(options.dir());
    this.maintenance = new Maintenance(options, databases, reserve, agreed);
    this.soundness = new Soundness(this::isPrimary, maintenance.verification());
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
    store.reserve.restore();
    store.maintenance.start(store.soundness, store::openWhatWasLeft);
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
          openDatabase(name, dir);
        }
      }
    }
  }

  /** A database that cannot be recovered must not keep the others from being served. */
  private void openDatabase(String name, Path dir) throws IOException {
    try {
      recover(name);
    } catch (IOException e) {
      if (!isFaultOfTheMachine(e)) {
        quarantine.take(dir, e.getMessage());
        return;
      }
      reserve.release();
      try {
        recover(name);
      } catch (IOException again) {
        quarantine.leave(dir, again.getMessage());
      }
    }
  }

  private static boolean isFaultOfTheMachine(IOException e) {
    return e instanceof ErrnoException errno && FAULTS_OF_THE_MACHINE.contains(errno.errno());
  }

  private void recover(String name) throws IOException {
    Database database = newDatabase(name);
    try {
      Pos logged = database.log().end();
      new Recovery(database, soundness).run();
      databases.put(name, database);
      if (!database.pos().equals(logged)) {
        agreed.madeBeyond(name, logged);
      }
    } catch (IOException e) {
      database.abandon();
      throw e;
    }
  }

  /** Tries those again whose opening failed for a reason outside of them. */
  private void openWhatWasLeft() {
    for (String name : quarantine.leftInPlace()) {
      try {
        recover(name);
        quarantine.returned(name);
        kernelCache.invalidateEntry(name);
        namesChanged(name);
        log.info("database {} could be opened now, at {}", name, databases.get(name).pos());
      } catch (IOException e) {
        log.debug("database {} still cannot be opened", name, e);
      }
    }
  }

  DiskReserve reserve() {
    return reserve;
  }

  /** Runs what may wait, for applications too. */
  void inBackground(Runnable task) {
    inBackgroundAfter(0, TimeUnit.MILLISECONDS, task);
  }

  void inBackgroundAfter(long delay, TimeUnit unit, Runnable task) {
    maintenance.inBackgroundAfter(delay, unit, task);
  }

  /** See {@link Maintenance#checkpoints}. */
  ScheduledExecutorService checkpoints() {
    return maintenance.checkpoints();
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

  /**
   * Does what {@link #becomePrimary} would wait for, ahead of it. What is received after this
   * counts as made here until a primary says that it has it: that costs a larger copy if histories
   * part, no more.
   */
  public void prepareToLead() {
    ReplicaSink following = sink;
    if (following != null) {
      following.prepareToClose();
    }
    agreed.becamePrimary(databases.values());
  }

  /** As {@link #becomePrimary(BooleanSupplier)}, for ever. */
  public void becomePrimary() throws IOException {
    becomePrimary(() -> true);
  }

  /**
   * Lets applications write; a node that belongs to no cluster founds one. What was received is
   * applied first, and the locks that kept writers out go: connections go on as writers.
   *
   * @param mayCommit asked at the instant of each commit; must cost next to nothing
   * @throws StoreException if received transactions cannot be applied because applications hold a
   *     database; this node stays what it was
   */
  public void becomePrimary(BooleanSupplier mayCommit) throws IOException {
    clusterIdFile.createIfAbsent();
    // Nobody answers a commit that waits for the primary, and it holds its database until then.
    forwardedWrites.endAll("this node is about to be the primary");
    ReplicaSink following = sink;
    if (following != null) {
      following.awaitApplied(PROMOTION_PATIENCE);
    }
    agreed.becamePrimary(databases.values());
    lease = mayCommit;
    role = Role.PRIMARY;
    // After the role: who gets the write lock that this gives back may write.
    if (following != null) {
      following.close();
      sink = null;
    }
    forwardedWrites.becamePrimary();
    for (Database database : databases.values()) {
      database.access().session(null);
      database.strayPages().record();
    }
    roleChanged();
  }

  /**
   * Refuses applications' writes from now on. {@code candidate} says whether this node can be
   * primary later.
   */
  public void becomeReplica(boolean candidate) {
    boolean wasPrimary = role == Role.PRIMARY;
    if (wasPrimary) {
      databases.values().forEach(Database::settledPos);
      haltLocks.endAll();
    }
    this.candidate = candidate;
    boolean wasReplica = role == Role.REPLICA;
    role = Role.REPLICA;
    lease = () -> false;
    if (wasReplica) {
      agreed.stayedReplica(databases.values()); // It may have prepared to lead.
      return;
    }
    databases.values().forEach(Database::endCommits);
    agreed.becameReplica(databases.values());
    if (wasPrimary) {
      feed(new ReplicaSink(this, ReplicaListener.NOBODY)).takeOverAll();
    }
    roleChanged();
  }

  /** The files' modes are others now. */
  private void roleChanged() {
    notifyChange();
    for (String name : databases.keySet()) {
      kernelCache.later(() -> kernelCache.invalidateAttributes(name));
    }
  }

  /**
   * On a primary that is about to hand over: waits for the writers that are at work, and keeps
   * others waiting, as another SQLite process would that writes. Readers go on. Ends with {@link
   * #releaseWriters}, or goes on without a gap when this node becomes a replica.
   *
   * @throws StoreException naming who writes to what, if a writer does not end in time
   */
  public void holdWriters(Duration patience) throws IOException {
    databases.values().forEach(Database::settledPos);
    ReplicaSink holding = new ReplicaSink(this, ReplicaListener.NOBODY);
    boolean done = false;
    try {
      holding.holdWriters(patience);
      done = true;
    } finally {
      if (!done) {
        holding.close();
      }
    }
    sink = holding;
  }

  /** Undoes {@link #holdWriters}. */
  public void releaseWriters() {
    ReplicaSink holding = sink;
    sink = null;
    if (holding != null) {
      holding.close();
    }
  }

  /**
   * Waits until every transaction is published that {@link #mayCommit} has let pass.
   *
   * @throws StoreException naming the database, if one is not in time
   */
  public void awaitCommits(Duration patience) throws StoreException {
    long deadline = System.nanoTime() + patience.toNanos();
    for (Database database : databases.values()) {
      if (!database.awaitCommit(deadline - System.nanoTime())) {
        throw new StoreException(
            database.name() + ": a transaction is being committed and does not end");
      }
    }
  }

  /** Positions of all databases that ever had a transaction, as far as they are in the log. */
  public Map<String, Pos> receivedPositions() {
    ReplicaSink following = sink;
    Map<String, Pos> positions = new TreeMap<>();
    for (Database database : databases.values()) {
      positions.put(database.name(), database.pos());
    }
    if (following != null) {
      positions.putAll(following.received());
    }
    positions.values().removeIf(Pos.ZERO::equals);
    return positions;
  }

  /** One stream follows another: what they feed stays as it is, locks included. */
  private ReplicaSink feed(ReplicaSink next) {
    synchronized (databases) {
      if (sink != null) {
        next.takeOver(sink);
      }
      sink = next;
      return next;
    }
  }

  /** Whether a transaction may be made here at this instant. Recovery may, before any role. */
  boolean mayCommit() {
    Role now = role;
    return now == Role.NONE || now == Role.PRIMARY && lease.getAsBoolean();
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
      observer.refused(name);
      throw new ErrnoException(Errno.EROFS, name + ": this node is not the primary");
    }
    if (!lease.getAsBoolean()) {
      throw new ErrnoException(Errno.EROFS, name + ": this node's lease as the primary has ended");
    }
  }

  /** Has everything measured from now on. */
  public void observe(StoreObserver newObserver) {
    observer = newObserver;
  }

  StoreObserver observer() {
    return observer;
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

  /** Whether this node asks its primary for the database. */
  boolean replicates(String name) {
    return options.replicated().isEmpty() || options.replicated().contains(name);
  }

  /** What is kept of databases whose history left the primary's. */
  public Divergence divergence() {
    return divergence;
  }

  /** Databases that are served although they are damaged. */
  Soundness soundness() {
    return soundness;
  }

  /** Databases that could not be recovered. */
  public Quarantine quarantine() {
    return quarantine;
  }

  /**
   * The database, made (empty) if there is none.
   *
   * @throws ErrnoException EIO if one of this name is in quarantine: the new one would pass for it
   */
  public Database findOrCreate(String name) throws ErrnoException {
    requireNotQuarantined(name);
    return findOrReplace(name);
  }

  /**
   * @throws ErrnoException EIO if the database of this name is in quarantine
   */
  public void requireNotQuarantined(String name) throws ErrnoException {
    if (!databases.containsKey(name)) {
      quarantine.requireNone(name);
    }
  }

  /** As {@link #findOrCreate}, for one that is to get a whole content at once. */
  Database findOrReplace(String name) throws ErrnoException {
    Database existing = databases.get(name);
    if (existing != null) {
      return existing;
    }
    if (quarantine.isInPlace(name)) {
      quarantine.requireNone(name);
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
    LtxLog ltxLog =
        LtxLog.open(
            dir.resolve("ltx"),
            options.durability() == Durability.ALWAYS,
            maintenance.background());
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

  /** Takes a database out of service and removes its files. */
  void remove(Database database) throws IOException {
    databases.remove(database.name(), database);
    database.close();
    DurableFiles.removeTree(database.files().dir());
    kernelCache.invalidateEntry(database.name());
    namesChanged(database.name());
  }

  /** Renames a database: creation under the new name, drop of the old one. */
  public void rename(String from, String to) throws ErrnoException {
    Database source = databases.get(from);
    if (source == null) {
      throw new ErrnoException(Errno.ENOENT, from);
    }
    new Rename(this, source, findOrCreate(to)).run();
  }

  /**
   * The kernel may remember the names of a database that has just appeared or vanished as they
   * were.
   */
  void namesChanged(String name) {
    kernelCache.later(
        () -> {
          for (String suffix : List.of("-pos", "-lock", "-wal", "-shm", "-journal")) {
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
    soundness.sound(name);
  }

  /**
   * The database as of one position; null if there is none.
   *
   * @param damaged whether it is wanted even if its pages are not what the position says; one in
   *     quarantine is none then
   * @throws WithheldException if it is damaged or in quarantine
   */
  public Export export(String name, boolean damaged) throws IOException {
    Database database = databases.get(name);
    Optional<Quarantine.Entry> aside =
        database == null && !damaged ? quarantine.blocking(name) : Optional.empty();
    if (aside.isPresent()) {
      throw new WithheldException(Quarantine.message(aside.get()));
    }
    return database == null || !database.state().exists()
        ? null
        : Snapshots.export(database, soundness, damaged);
  }

  /** Whether a database was found damaged when all of it was last read. */
  public boolean isDamaged(String name) {
    return soundness.isDamaged(name);
  }

  /** What feeds this store from a primary's stream. */
  public ChangeSink replicaSink(ReplicaListener listener) {
    return feed(new ReplicaSink(this, listener));
  }

  /** From now on commits wait for replicas. */
  public void synchronizeCommits(CommitSync sync) {
    commitSync = sync;
  }

  /** Null if commits wait for nobody. */
  CommitSync commitSync() {
    return commitSync;
  }

  /** {@link CommitPace#FREE} lets commits go on as fast as they can. Any thread. */
  public void pace(CommitPace commits) {
    pace = commits;
  }

  CommitPace pace() {
    return pace;
  }

  /** The halt locks that this node has given to replicas, as their primary. */
  public HaltLocks haltLocks() {
    return haltLocks;
  }

  /** The databases that may be written to here for a while, although this node is a replica. */
  public ForwardedWrites forwardedWrites() {
    return forwardedWrites;
  }

  /** What receives a database of a replica. */
  ReplicaDatabase replica(String name) throws IOException {
    ReplicaSink present = sink;
    if (present == null) {
      throw new StoreException(name + ": this node follows no primary");
    }
    return present.replica(name);
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

  /** A database in quarantine exists: replicas must keep what they have of it. */
  @Override
  public boolean isUnavailable(String name) {
    return !databases.containsKey(name) && quarantine.blocking(name).isPresent();
  }

  @Override
  public LtxFile next(String name, Pos after) throws IOException {
    Database database = databases.get(name);
    return database == null ? null : LogFile.openNext(database, after);
  }

  @Override
  public LtxFile snapshot(String name) throws IOException {
    Database database = databases.get(name);
    if (database == null || database.pos().equals(Pos.ZERO)) {
      return null;
    }
    if (database.pos().txid().value() == 1) {
      // The first transaction is a snapshot as it lies there; its commit may be waiting for this.
      LtxFile first = LogFile.openNext(database, Pos.ZERO);
      if (first != null) {
        return first;
      }
    }
    return Snapshots.ltx(database, soundness);
  }

  @Override
  public Closeable onChange(Runnable listener) {
    changeListeners.add(listener);
    return () -> changeListeners.remove(listener);
  }

  /**
   * On a replica that stops: what was received is not applied any more, and the locks that keep
   * writers out stay. To be called before the mount goes, through which both is done.
   */
  public void standStill() {
    ReplicaSink present = sink;
    if (present != null) {
      present.standStill();
    }
  }

  /** Syncs and closes everything. The mount must be gone by now. */
  @Override
  public void close() throws IOException {
    maintenance.end();
    agreed.write();
    List<Database> open = new ArrayList<>(databases.values());
    open.forEach(Database::close);
    maintenance.awaitBackground();
    lockChannel.close();
  }
}

package io.litefs.fuse;

import io.litefs.posix.Errno;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A mounted {@link FileSystem}. Thread-safe.
 *
 * <p>The kernel may keep everything it learns for an hour ({@code *_timeout}), names that do not
 * exist too, so {@link KernelCache} must hear of every change that did not come through the mount.
 * {@code hard_remove} really removes a file that is open, in place of renaming it to {@code
 * .fuse_hidden...}, {@code big_writes} lets writes come in pieces larger than a page. Not used: the
 * writeback cache (it would overwrite what the daemon changes), {@code default_permissions}, {@code
 * atomic_o_trunc} (open(2) with O_TRUNC comes as an open and a truncate by handle), and {@code
 * noforget}: libfuse would abort the process when a name that the kernel has forgotten vanishes.
 */
public final class Mount implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Mount.class);

  private static final String OPTIONS =
      "big_writes,max_write=131072,hard_remove,fsname=litefs,subtype=litefs";

  private static final String REMEMBER =
      ",entry_timeout=3600,negative_timeout=3600,attr_timeout=3600";

  /** For file systems that keep locks: nobody tells the kernel of their changes. */
  private static final String ASK = ",entry_timeout=0,negative_timeout=0,attr_timeout=0";

  private static final Duration FIRST_ANSWER = Duration.ofSeconds(10);

  /**
   * How long {@link #unmount} waits for each of the things that an application or a slow disk can
   * hold up.
   */
  private static final Duration PATIENCE = Duration.ofSeconds(3);

  private final MountPoint point;
  private final Keepers keepers;
  private final KernelCacheNotifier cache;
  private final Session session;
  private final SessionLoop loop;
  private final RequestCounters counters;
  private final int device;
  private final CompletableFuture<Void> ended;

  /** Whether the keepers' files are of this mount. */
  private final boolean hasKeepers;

  /** Guarded by this. */
  private boolean unmounted;

  private Mount(
      MountPoint point,
      Keepers keepers,
      KernelCacheNotifier cache,
      Session session,
      RequestCounters counters,
      boolean hasKeepers) {
    this.hasKeepers = hasKeepers;
    this.point = point;
    this.keepers = keepers;
    this.cache = cache;
    this.session = session;
    this.counters = counters;
    this.device = point.device().orElse(-1);
    this.ended = new CompletableFuture<>();
    this.loop = new SessionLoop(session, this::loopEnded);
  }

  /**
   * Mounts {@code fs} on {@code directory} and returns once the mount answers. Creates the
   * directory if it is missing. A mount that a dead litefs left there is removed.
   *
   * @throws MountException with one line for the operator: what is in the way and what to do
   */
  public static Mount mount(
      Path directory,
      FileSystem fs,
      KernelCacheNotifier cache,
      Keepers keepers,
      MountOptions options)
      throws MountException {
    LibFuse2.Calls fuse = LibFuse2.load();
    MountPoint point = MountPoint.prepare(directory, keepers, options);
    NodeTable nodes = new NodeTable();
    HandleTable handles = new HandleTable();
    RequestCounters counters = new RequestCounters();
    Operations operations = new Operations(fs, nodes, handles, options.dataDirectory());
    String[] arguments = {
      "litefs",
      "-f",
      "-o",
      OPTIONS + (fs.keepsLocks() ? ASK : REMEMBER) + (options.allowOther() ? ",allow_other" : ""),
      point.path().toString()
    };
    Session session = Session.open(fuse, arguments, operations, nodes, handles, counters);
    if (session == null) {
      throw new MountException(
          "libfuse could not mount on %s; the line before this one on the standard error says why"
              .formatted(point.path()));
    }
    Mount mount = new Mount(point, keepers, cache, session, counters, !fs.keepsLocks());
    mount.loop.start();
    cache.attach(session);
    int answer = keepers.probe(point.path(), FIRST_ANSWER);
    if (answer != 0) {
      mount.unmount();
      throw new MountException(
          "%s was mounted but does not answer (%s)"
              .formatted(
                  point.path(),
                  answer == Keepers.NO_ANSWER
                      ? "no reply in " + FIRST_ANSWER
                      : Errno.name(answer)));
    }
    return mount;
  }

  /**
   * Where {@code directory} would be mounted: absolute, without symbolic links. Creates missing
   * parents; asks nothing of what is mounted there.
   */
  public static Path resolve(Path directory) throws MountException {
    return MountPoint.resolve(directory);
  }

  /**
   * Removes a mount that a dead litefs has left at {@code directory}, if there is one.
   *
   * @throws MountException if what is mounted there is alive, or not ours, or cannot be removed
   */
  public static void removeDead(Path directory, Keepers keepers) throws MountException {
    MountPoint.removeDead(directory, keepers);
  }

  /** Whether it is still there: somebody may have unmounted it while its files were open. */
  public boolean isMounted() {
    return point.device().filter(found -> found == device).isPresent();
  }

  /** Where it is mounted: absolute, without symbolic links. */
  public Path path() {
    return point.path();
  }

  public RequestCounters counters() {
    return counters;
  }

  /**
   * The locks that are held or waited for on files of the mount, as the kernel lists them: no
   * request is made to the mount. Costs a walk over all locks of the machine; not for hot paths.
   *
   * @throws IOException if the kernel's list cannot be read
   */
  public List<FileLock> locks() throws IOException {
    return FileLock.read(device, session.nodes()::name);
  }

  /**
   * Completed when no request can come any more: after {@link #unmount}, or because somebody called
   * umount.
   */
  public CompletionStage<Void> ended() {
    return ended.minimalCompletionStage();
  }

  /**
   * Takes the mount away, whether or not its files are open: whoever has one open gets ENOTCONN
   * from now on. Files of the keepers are closed. Requests in progress are answered. Idempotent.
   * Never throws; what cannot be cleaned up is logged, and ends with the process.
   */
  public synchronized void unmount() {
    if (unmounted) {
      return;
    }
    unmounted = true;
    // The keepers' files would keep the mount busy. Closing them asks the file system, as
    // unmounting does: the loop must run.
    boolean clean = !hasKeepers || bounded("close the keepers' files", keepers::closeFiles);
    if (isMounted()) {
      clean &= bounded("unmount", () -> point.unmount(false));
    }
    clean &= bounded("finish notifications", cache::detach);
    session.exit();
    if (!loop.end(keepers, PATIENCE) || !clean) {
      // Its memory must not be freed under the threads that are still in there. The connection goes
      // with the process.
      log.error(
          "{}: {} requests are still in progress; giving up waiting for them",
          point.path(),
          loop.busy());
      return;
    }
    session.destroy();
  }

  /** As {@link #unmount}. */
  @Override
  public void close() {
    unmount();
  }

  private void loopEnded() {
    session.ended();
    ended.complete(null);
  }

  Session session() {
    return session;
  }

  SessionLoop loop() {
    return loop;
  }

  private boolean bounded(String what, Runnable action) {
    Thread thread = new Thread(action, "litefs-unmount");
    thread.setDaemon(true);
    thread.start();
    boolean interrupted = Thread.interrupted();
    try {
      TimeUnit.NANOSECONDS.timedJoin(thread, PATIENCE.toNanos());
    } catch (InterruptedException e) {
      // Unmounting is what an interrupted daemon does last; it goes on with what is left.
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (thread.isAlive()) {
      log.warn("{}: cannot {} within {}; a request does not return", point.path(), what, PATIENCE);
    }
    return !thread.isAlive();
  }
}

package io.litefs.store;

import io.litefs.posix.ErrnoException;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is due again and again on all databases of a node: syncing logs, retention, bases that keep
 * recovery short, reading what a start has not read. And the threads for that and for whatever else
 * nobody waits for.
 *
 * <p>Thread-safe.
 */
final class Maintenance {

  private static final Logger log = LoggerFactory.getLogger(Maintenance.class);

  /** As many databases may wait for readers or for the disk before others must wait for them. */
  private static final int CHECKPOINT_THREADS = 4;

  private static final Duration LOG_SYNC = Duration.ofMillis(100);
  private static final Duration DISK = Duration.ofSeconds(1);
  private static final Duration LEFT_DATABASES = Duration.ofSeconds(2);

  private final StoreOptions options;
  private final Map<String, Database> databases;
  private final DiskReserve reserve;
  private final AgreedPositions agreed;

  private final ScheduledExecutorService clock =
      Executors.newSingleThreadScheduledExecutor(task -> daemonThread(task, "litefs-maintenance"));

  /** For what may take long and must not hold up {@link #clock}. */
  private final ExecutorService background =
      Executors.newCachedThreadPool(task -> daemonThread(task, "litefs-background"));

  private final ExecutorService verification =
      Executors.newSingleThreadExecutor(
          task -> {
            Thread thread = daemonThread(task, "litefs-verification");
            thread.setPriority(Thread.MIN_PRIORITY);
            return thread;
          });

  private final ScheduledThreadPoolExecutor checkpoints =
      new ScheduledThreadPoolExecutor(
          CHECKPOINT_THREADS, task -> daemonThread(task, "litefs-checkpoint"));

  /**
   * @param databases all that there are at any time, by their names; read here
   */
  Maintenance(
      StoreOptions options,
      Map<String, Database> databases,
      DiskReserve reserve,
      AgreedPositions agreed) {
    this.options = options;
    this.databases = databases;
    this.reserve = reserve;
    this.agreed = agreed;
    checkpoints.setRemoveOnCancelPolicy(true);
    checkpoints.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
  }

  private static Thread daemonThread(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  /**
   * Begins. Called once, when all databases are open.
   *
   * @param openWhatWasLeft tries databases again that could not be opened for a reason outside of
   *     them
   */
  void start(Soundness soundness, Runnable openWhatWasLeft) {
    clock.scheduleWithFixedDelay(
        this::syncLogs, LOG_SYNC.toMillis(), LOG_SYNC.toMillis(), TimeUnit.MILLISECONDS);
    every(options.retentionMonitorInterval(), this::enforceRetention);
    every(DISK, this::lookAfterDisk);
    every(DISK, this::measureLogs);
    // Twice at once, one run would recover what the other serves already.
    every(LEFT_DATABASES, openWhatWasLeft);
    verification.execute(() -> verifyUnread(soundness));
  }

  private void every(Duration interval, Runnable task) {
    long millis = Math.max(1, interval.toMillis());
    OneAtATime once = new OneAtATime(task);
    clock.scheduleWithFixedDelay(
        () -> background.execute(once), millis, millis, TimeUnit.MILLISECONDS);
  }

  /** Runs what may take long. */
  Executor background() {
    return background;
  }

  /**
   * Copies replicas' WALs into their databases, as many at a time as this has threads. What waits
   * is taken in the order in which it became due.
   */
  ScheduledExecutorService checkpoints() {
    return checkpoints;
  }

  /** Reads whole databases, slowly and one after the other. */
  ExecutorService verification() {
    return verification;
  }

  /** Runs a task then, or never if this ends before. */
  void inBackgroundAfter(long delay, TimeUnit unit, Runnable task) {
    try {
      clock.schedule(() -> background.execute(task), delay, unit);
    } catch (RejectedExecutionException e) {
      log.debug("closing: what was to be done is done at the next start");
    }
  }

  /** Nothing becomes due any more. */
  void end() {
    clock.shutdownNow();
    checkpoints.shutdown();
    verification.shutdownNow();
  }

  /** Waits for what goes on in the background, for a minute at most; nothing new is taken. */
  void awaitBackground() {
    background.shutdown();
    try {
      background.awaitTermination(1, TimeUnit.MINUTES);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  // ------------------------------------------------------------ the duties

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

  /** One database after the other: what the start did not read. */
  private void verifyUnread(Soundness soundness) {
    try {
      for (Database database : databases.values()) {
        if (verification.isShutdown()) {
          return;
        }
        if (database.bases().isUnread()) {
          soundness.count(database, "after an unclean stop");
        }
        database.log().verifyUnread(BackgroundVerification.pace());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Keeps what recovery would have to do small, and what it would need on the disk. */
  private void lookAfterDisk() {
    reserve.restore();
    for (Database database : databases.values()) {
      if (database.bases().isDue()) {
        advanceBase(database);
      }
    }
  }

  /** Of logs with so many files that the start left it. */
  private void measureLogs() {
    for (Database database : databases.values()) {
      try {
        database.log().measure();
      } catch (IOException | RuntimeException e) {
        log.error("cannot tell how large the log of {} is: {}", database.name(), e.getMessage());
      }
    }
  }

  private void advanceBase(Database database) {
    try {
      database.bases().advance(false);
    } catch (IOException | RuntimeException e) {
      if (databases.get(database.name()) == database) {
        log.error("{}: cannot write the page checksums: {}", database.name(), e.getMessage());
      }
    }
  }

  private void enforceRetention() {
    long cutoff = System.currentTimeMillis() - options.retention().toMillis();
    for (Database database : databases.values()) {
      try {
        BaseKeeper bases = database.bases();
        int removed = database.log().removeOlderThan(cutoff, bases::txid);
        if (database.log().holdsOlderThan(cutoff)) {
          advanceBase(database);
          removed += database.log().removeOlderThan(cutoff, bases::txid);
        }
        if (options.retentionSize() > 0) {
          if (database.log().byteCount() > options.retentionSize()) {
            advanceBase(database);
          }
          removed += database.log().removeBeyond(options.retentionSize(), bases::txid);
        }
        database.metrics().reaps.add(removed);
      } catch (IOException | RuntimeException e) {
        log.error("cannot remove old LTX files of {}: {}", database.name(), e.getMessage());
      }
    }
    removeAsideLogs();
    agreed.write();
  }

  private void removeAsideLogs() {
    List<Path> dirs = databases.values().stream().map(each -> each.files().dir()).toList();
    try {
      AsideLogs.removeBeyond(options.divergedSize(), dirs);
    } catch (NoSuchFileException e) {
      log.debug("a database is gone", e);
    } catch (IOException | DirectoryIteratorException e) {
      log.error("cannot remove what was set aside of logs: {}", e.getMessage());
    }
  }
}

package io.litefs.store;

import io.litefs.fuse.LockHolder;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.replication.Acknowledger;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Receives the transactions of one database: each is verified and in the log before it is applied.
 *
 * <p>Applying waits for applications that hold the database. The stream's thread waits {@link
 * #PATIENCE}, then a thread of the database's own takes over and the stream goes on for the others:
 * received transactions wait in the log, on disk, not in memory.
 */
final class ReplicaDatabase {

  private static final Logger logger = LoggerFactory.getLogger(ReplicaDatabase.class);
  private static final Duration PATIENCE = Duration.ofMillis(100);

  /** How long new readers of a rollback-journal database are kept out at a time, at most. */
  private static final Duration HOLD = Duration.ofMillis(500);

  /** How long they are let in again in between. */
  private static final Duration PAUSE = Duration.ofSeconds(1);

  /** How long what is only prepared may wait for a transaction that is being applied. */
  private static final Duration PREPARATION_PATIENCE = Duration.ofMillis(10);

  private static final Duration REPORT_INTERVAL = Duration.ofSeconds(5);

  private final Database database;
  private final Applier applier;
  private final Divergence divergence;
  private final Store store;
  private final Executor inBackground;

  /**
   * Held from the first byte of a transaction until the stream's thread is done with it: the thread
   * of a stream that has ended may still be applying its last one when the next stream sends. Taken
   * before {@link #use}, which must not be held while a primary is slow to send.
   */
  private final ReentrantLock receiving = new ReentrantLock();

  /** Guarded by {@link #receiving}, as the file is that is being received; empty in between. */
  private final PageTable checksums = new PageTable();

  /** Held by whoever applies, or hands the database to applications and takes it back. */
  private final ReentrantLock use = new ReentrantLock();

  /** Position of the end of the log. */
  private volatile Pos received;

  /** The thread that applies while the stream goes on; null if there is none. Guarded by this. */
  private Thread catchingUp;

  private boolean closed;

  /** Why the log could not be applied when that was last tried; null if it could, or is tried. */
  private volatile String failure;

  /**
   * What the machine answers to the catch-up, which goes on trying; null if all goes well. Unlike
   * {@link #failure} nothing that the primary sends could help.
   */
  private volatile String fault;

  /** Whether nothing is taken any more: this node is about to lead. Set under {@link #use}. */
  private volatile boolean sealed;

  /** Whether the primary must send the whole database, and has not yet. */
  private volatile boolean needsSnapshot;

  /** Whether the present stream was asked for it. */
  private volatile boolean askedForSnapshot;

  /** What came back last on the present stream, and was here already or about to be. */
  private volatile Pos skipped = Pos.ZERO;

  /**
   * Whether applications of a former primary may still be at work. The catch-up ends that before it
   * applies anything. Guarded by this.
   */
  private boolean toTakeOver;

  ReplicaDatabase(Store store, Database database) throws IOException {
    this.database = database;
    this.applier = new Applier(store, database);
    this.inBackground = store::inBackground;
    this.divergence = store.divergence();
    this.store = store;
    this.received = database.log().end();
  }

  /**
   * What a stream that begins now is to send the continuation of; zero if it is to send a snapshot.
   */
  Pos ask() {
    boolean snapshot = needsSnapshot;
    askedForSnapshot = snapshot;
    skipped = Pos.ZERO;
    return snapshot ? Pos.ZERO : received();
  }

  /** Whether only another stream brings what this database needs. */
  boolean needsAnotherStream() {
    return needsSnapshot && !askedForSnapshot || lacksSkipped();
  }

  /** Whether what came back could not be written here after all. */
  private boolean lacksSkipped() {
    return database.access().session() == null && skipped.txid().compareTo(received.txid()) > 0;
  }

  /** The end of what is in the log. */
  Pos received() {
    if (failure != null) {
      return Pos.ZERO;
    }
    if (database.access().session() == null) {
      return received;
    }
    try {
      return database.log().end(); // applications may have written
    } catch (IOException e) {
      logger.debug("cannot read the end of the log of {}", database.name(), e);
      return database.pos();
    }
  }

  /** Receives one LTX file and applies it, if applications allow. The stream's thread. */
  void receive(InputStream in, Acknowledger acknowledger) throws IOException {
    receiving.lock();
    try {
      receiveNext(in, acknowledger);
    } finally {
      checksums.clear();
      receiving.unlock();
    }
  }

  private void receiveNext(InputStream in, Acknowledger acknowledger) throws IOException {
    Path temporary = database.log().temporaryFile();
    ReceivedTransaction transaction;
    try {
      transaction = ReceivedTransaction.receive(in, temporary, checksums);
      if (isMadeHere(transaction)) {
        skipped = transaction.pos();
        Files.delete(temporary);
        divergence.agree(database.name());
        acknowledgeMadeHere(acknowledger);
        return;
      }
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(temporary);
      throw e;
    }
    use.lock();
    try {
      take(transaction, temporary, acknowledger);
    } finally {
      use.unlock();
    }
  }

  /**
   * Whether it comes back from the primary, to which this node has sent it under the halt lock. If
   * something else comes, the lock is lost, and nothing can be committed here once this returns.
   */
  private boolean isMadeHere(ReceivedTransaction transaction) throws IOException {
    HaltSession session = database.access().session();
    if (session == null) {
      return false;
    }
    if (session.isOurs(transaction.header().nodeId(), transaction.pos(), database.pos())) {
      return true;
    }
    session.end("the primary has gone on to transaction " + transaction.header().maxTxid());
    database.awaitCommit();
    received = database.log().end();
    return false;
  }

  private void take(ReceivedTransaction transaction, Path temporary, Acknowledger acknowledger)
      throws IOException {
    boolean verified;
    try {
      if (sealed) {
        throw new StoreException(database.name() + ": this node follows no primary any more");
      }
      requireFollows(transaction.header());
      verified = isNext(transaction);
      if (verified) {
        verify(transaction);
      }
      if (transaction.header().isSnapshot()) {
        divergence.beforeSnapshot(database, transaction);
      }
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(temporary);
      throw e;
    }
    long ltxBytes = Files.size(temporary);
    if (transaction.header().isSnapshot()) {
      // First: a log that ends before the base has lost its end.
      database.bases().logIsReplaced(transaction.header().pageSize());
    }
    database.log().adopt(temporary, transaction.header());
    store.observer().received(ltxBytes);
    received = transaction.pos();
    boolean applied = false;
    try {
      if (transaction.header().isSnapshot()) {
        needsSnapshot = false;
        failure = null;
        skipped = Pos.ZERO;
      }
      divergence.agree(database.name());
      acknowledge(acknowledger, transaction.pos());
      ReceivedTransaction adopted = transaction.at(database.log().lastFile());
      applied = verified && apply(adopted, PATIENCE);
    } finally {
      if (!applied) {
        startCatchingUp(); // It is in the log: the primary sends it no second time.
      }
    }
  }

  /** The primary would send the same transaction again and again. */
  private void verify(ReceivedTransaction transaction) throws IOException {
    try {
      applier.verify(transaction);
    } catch (StoreException e) {
      needSnapshot();
      throw e;
    }
  }

  /** It may be in the log here only in a moment. */
  private void acknowledgeMadeHere(Acknowledger acknowledger) {
    inBackground.execute(
        () -> {
          database.awaitCommit();
          try {
            acknowledge(acknowledger, database.pos());
          } catch (IOException e) {
            logger.error("{}: cannot sync the log: {}", database.name(), e.getMessage());
          }
        });
  }

  /** Tells the primary that the transaction is in the log here, which is enough to have it. */
  private void acknowledge(Acknowledger acknowledger, Pos pos) throws IOException {
    if (acknowledger.wantsDurable()) {
      database.log().sync();
    }
    acknowledger.acknowledge(database.name(), pos);
  }

  private boolean apply(ReceivedTransaction transaction, Duration patience) throws IOException {
    if (!settle(patience)) {
      return false;
    }
    long start = System.nanoTime();
    boolean done = applier.apply(transaction, patience);
    if (done && transaction.header().isSnapshot()) {
      database.strayPages().forget();
      needsSnapshot = false; // Settling may have found them a moment ago.
    }
    if (done) {
      store.observer().applied(System.nanoTime() - start);
    }
    return done;
  }

  /**
   * Lets applications write under the halt lock: the daemon's own locks go.
   *
   * @param pos where the database must be
   */
  void handOver(HaltSession session, Pos pos) throws IOException {
    use.lock();
    try {
      synchronized (this) {
        if (closed || catchingUp != null || toTakeOver || !database.pos().equals(pos)) {
          throw new StoreException(
              database.name() + ": transactions of the primary are still being applied; try again");
        }
      }
      applier.close();
      database.access().session(session);
    } finally {
      use.unlock();
    }
  }

  /**
   * After the halt lock's end: undoes what applications wrote and did not commit, and takes the
   * database from them.
   *
   * @return false if applications stood in the way for as long as {@code patience}
   */
  boolean settle(Duration patience) throws IOException {
    use.lock();
    try {
      HaltSession session = database.access().session();
      if (session == null || session.isActive()) {
        return session == null;
      }
      if (!applier.takeOver(patience)) {
        return false;
      }
      received = database.log().end();
      database.access().session(null);
      lookForStrayPages();
      return true;
    } finally {
      use.unlock();
    }
  }

  private void requireFollows(LtxHeader header) throws StoreException {
    Pos end = received;
    if (!header.isSnapshot() && needsSnapshot) {
      throw new StoreException(
          database.name() + " is not what its position says: asking for it anew");
    }
    if (!header.isSnapshot()
        && !(header.minTxid().equals(end.txid().next())
            && header.preApply().equals(end.checksum()))) {
      throw new StoreException(
          "%s: received transaction %s on checksum %s, but this node is at %s"
              .formatted(database.name(), header.minTxid(), header.preApply(), end));
    }
  }

  /**
   * A transaction of this node's that was rolled back may have left other content in free pages,
   * and one that is in the log may have been overwritten before anybody here saw it.
   */
  private void lookForStrayPages() {
    if (database.strayPages().areThere() && !needsSnapshot) {
      needSnapshot();
      logger.info(
          "{}: pages have another content than on the primary, after a transaction here that did"
              + " not end well",
          database.name());
    }
  }

  private void needSnapshot() {
    askedForSnapshot = false;
    needsSnapshot = true;
  }

  /** Whether the transaction is the very next to apply, and the stream's thread is who applies. */
  private synchronized boolean isNext(ReceivedTransaction transaction) {
    return catchingUp == null
        && !toTakeOver
        && (transaction.header().isSnapshot()
            || transaction.header().preApply().equals(database.pos().checksum())
                && transaction.header().minTxid().equals(database.pos().txid().next()));
  }

  /** Applications may be at work, and {@link #takeOverNow} is to follow. */
  void isToBeTakenOver() throws IOException {
    // Applications may have committed since this was made: a handoff waits for the writers at work.
    received = database.log().end();
    synchronized (this) {
      toTakeOver = true;
    }
  }

  /**
   * Begins to take it over, if nobody does, or has.
   *
   * @return opens when that has been tried once
   */
  synchronized CountDownLatch takeOverNow() {
    CountDownLatch tried = new CountDownLatch(1);
    if (!toTakeOver || !startCatchingUp(tried)) {
      tried.countDown();
    }
    return tried;
  }

  /** See {@link Store#holdWriters}. */
  void holdWriters(Duration patience) throws IOException {
    if (!applier.keepWritersOut(patience)) {
      String writer =
          database.access().isHalted()
              ? "a replica (it has the halt lock)"
              : applier.writer().map(LockHolder::toString).orElse("an application");
      throw new StoreException(
          "%s: %s is writing and does not end".formatted(database.name(), writer));
    }
  }

  /**
   * Waits until everything that is in the log is applied, and tries it once more if that has
   * failed. Then nothing is received until {@link #receiveAgain}.
   *
   * @param deadline nanotime
   * @throws StoreException if it cannot be applied, or not in time: this node must not lead, since
   *     its first transaction would take the place of what is in the log already
   */
  void awaitApplied(long deadline) throws StoreException {
    boolean tried = false;
    while (!sealIfApplied(deadline)) {
      boolean behind = isBehind(deadline);
      synchronized (this) {
        if (catchingUp == null && (behind || toTakeOver)) {
          if (tried && failure != null) {
            throw new StoreException(cannotApply(failure));
          }
          startCatchingUp();
          tried = true;
        }
        long left = deadline - System.nanoTime();
        if (left <= 0) {
          throw new StoreException(cannotApply(obstacle()));
        }
        if (catchingUp != null) {
          notifyAll(); // Who pauses tries again at once.
          try {
            wait(Math.min(100, left / 1_000_000 + 1));
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new StoreException(database.name() + ": interrupted");
          }
        }
      }
    }
  }

  private String cannotApply(String reason) {
    return database.name() + ": transactions that were received cannot be applied: " + reason;
  }

  private String obstacle() {
    String present = fault;
    if (present != null) {
      return present;
    }
    return applier
        .blocker()
        .map(holder -> holder + " holds the database")
        .orElse("that has not ended yet");
  }

  /** Undoes {@link #awaitApplied}: this node goes on as a replica. */
  void receiveAgain() {
    sealed = false;
  }

  /** If there is nothing to apply, sees to it that nothing comes; false otherwise. */
  private boolean sealIfApplied(long deadline) throws StoreException {
    synchronized (this) {
      // With a fault it may be the take-over that does not succeed, which is of no use any more.
      if ((catchingUp != null || toTakeOver && !closed) && fault == null) {
        return false;
      }
    }
    // A stream that has ended may be applying its last transaction still.
    if (!tryLock(use, deadline)) {
      return false;
    }
    try {
      sealed = !isBehind(deadline);
      return sealed;
    } finally {
      use.unlock();
    }
  }

  /** Whether the log has what the database lacks. */
  private boolean isBehind(long deadline) throws StoreException {
    // Under its lock: a commit is in the log a moment before it is the position.
    if (!tryLock(database.lock, deadline)) {
      throw new StoreException(database.name() + ": a transaction is being committed");
    }
    try {
      return !database.pos().equals(database.log().end());
    } catch (IOException e) {
      throw new StoreException(database.name() + ": cannot read the log: " + e.getMessage(), e);
    } finally {
      database.lock.unlock();
    }
  }

  private boolean tryLock(ReentrantLock lock, long deadline) throws StoreException {
    try {
      return lock.tryLock() // however late it is
          || lock.tryLock(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(database.name() + ": interrupted");
    }
  }

  /** Takes the database over if that is to be done; false if applications stand in the way. */
  private boolean takeOverIfNeeded() throws IOException {
    synchronized (this) {
      if (!toTakeOver) {
        return true;
      }
    }
    if (!applier.takeOver(HOLD)) {
      return false;
    }
    lookForStrayPages();
    synchronized (this) {
      toTakeOver = false;
    }
    return true;
  }

  private void startCatchingUp() {
    startCatchingUp(new CountDownLatch(1));
  }

  /**
   * @param tried is counted down after the first attempt
   * @return false if it goes on already, or is not to
   */
  private synchronized boolean startCatchingUp(CountDownLatch tried) {
    if (catchingUp != null || closed) {
      return false;
    }
    failure = null;
    Thread thread = new Thread(() -> catchUp(tried), "litefs-apply-" + database.name());
    thread.setDaemon(true);
    thread.start();
    catchingUp = thread; // If there is one: it gets no further than isDone() before this.
    return true;
  }

  private void catchUp(CountDownLatch tried) {
    try {
      applyAll(new Next(), tried);
    } finally {
      tried.countDown();
      database.waitsFor(null);
      endCatchingUp();
    }
  }

  /** Whatever ends the thread, an Error too, another one can be started. */
  private synchronized void endCatchingUp() {
    if (catchingUp == Thread.currentThread()) {
      catchingUp = null;
      notifyAll();
    }
  }

  /** What an attempt to go on has led to. */
  private enum Attempt {
    APPLIED,
    HELD_UP_BY_APPLICATIONS,
    TO_BE_REPEATED,
    GIVEN_UP
  }

  private void applyAll(Next next, CountDownLatch tried) {
    LockWait wait = null;
    long reported = System.nanoTime();
    while (!isDone()) {
      Attempt attempt = attempt(next);
      tried.countDown();
      if (attempt == Attempt.GIVEN_UP) {
        return;
      }
      if (attempt == Attempt.APPLIED) {
        wait = null;
        database.waitsFor(null);
        continue;
      }
      if (attempt == Attempt.HELD_UP_BY_APPLICATIONS) {
        Instant since = wait == null ? Instant.now() : wait.since();
        wait = new LockWait(next.txid(), since, applier.blocker());
        database.waitsFor(wait);
        if (System.nanoTime() - reported >= REPORT_INTERVAL.toNanos()) {
          reported = System.nanoTime();
          logger.warn(
              "{}: transaction {} has been waiting for {} s: {} holds the database",
              database.name(),
              wait.txid(),
              Duration.between(since, Instant.now()).toSeconds(),
              wait.holder().map(LockHolder::toString).orElse("nobody any more"));
        }
      }
      pause();
    }
  }

  /**
   * Also decides what follows from a failure, before the stream brings anything: with a snapshot
   * all is well again.
   */
  private Attempt attempt(Next next) {
    use.lock();
    try {
      Attempt attempt = Attempt.TO_BE_REPEATED;
      if (takeOverIfNeeded()) {
        attempt = applyNext(next) ? Attempt.APPLIED : Attempt.HELD_UP_BY_APPLICATIONS;
      }
      wentWell();
      return attempt;
    } catch (NoSuchFileException | RuntimeException e) {
      return giveUp(e); // A file of the log is gone: the primary has it, or a snapshot.
    } catch (ErrnoException | FileSystemException e) {
      wentWrong(e);
      return Attempt.TO_BE_REPEATED;
    } catch (IOException e) {
      return giveUp(e);
    } finally {
      use.unlock();
    }
  }

  /** A full disk, too many open files: it is not the transaction's fault. */
  private void wentWrong(IOException e) {
    if (isInterrupted()) {
      return;
    }
    if (e instanceof ErrnoException errno
        && (errno.errno() == Errno.ENOSPC || errno.errno() == Errno.EDQUOT)) {
      store.reserve().release();
    }
    String reason = String.valueOf(e.getMessage());
    if (!reason.equals(fault)) {
      logger.error("{}: cannot apply the log: {}; trying again", database.name(), reason);
    }
    fault = reason;
  }

  /** Whether this is closed, and the thread interrupted by that: nothing else went wrong. */
  private synchronized boolean isInterrupted() {
    return closed;
  }

  private void wentWell() {
    if (fault != null) {
      logger.info("{}: the log is being applied again, at {}", database.name(), database.pos());
    }
    fault = null;
  }

  private Attempt giveUp(Exception e) {
    if (isInterrupted()) {
      return Attempt.GIVEN_UP;
    }
    logger.error(
        "{}: cannot apply the log: {}; it asks for a snapshot", database.name(), e.getMessage());
    needSnapshot();
    synchronized (this) {
      failure = String.valueOf(e.getMessage());
      fault = null;
      catchingUp = null;
      toTakeOver = false;
      notifyAll();
    }
    return Attempt.GIVEN_UP;
  }

  /** What is to be applied next, read once however often it is tried. */
  private final class Next {
    private final PageTable pageChecksums = new PageTable();
    private ReceivedTransaction transaction;
    private Path file;
    private Pos before;

    /** Reads it, unless it has been. Whoever calls this holds {@link #use}. */
    ReceivedTransaction read() throws IOException {
      Path wanted = nextFile();
      Pos now = database.pos();
      if (!wanted.equals(file) || !now.equals(before)) {
        file = null;
        transaction = ReceivedTransaction.read(wanted, pageChecksums);
        file = wanted;
        before = now;
      }
      return transaction;
    }

    Txid txid() {
      return file == null ? database.pos().txid().next() : transaction.header().minTxid();
    }
  }

  private boolean applyNext(Next next) throws IOException {
    if (!settle(HOLD)) {
      return false;
    }
    // The stream's thread may have applied what this one was started for.
    if (database.pos().equals(received)) {
      return true;
    }
    ReceivedTransaction transaction = next.read();
    applier.verify(transaction);
    return apply(transaction, HOLD);
  }

  private synchronized void pause() {
    if (!closed) {
      try {
        wait(PAUSE.toMillis());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt(); // close() has set closed
      }
    }
  }

  private synchronized boolean isDone() {
    if (closed || !toTakeOver && database.pos().equals(received)) {
      fault = null;
      catchingUp = null;
      notifyAll();
      return true;
    }
    return false;
  }

  private Path nextFile() throws IOException {
    Pos pos = database.pos();
    Path file = database.log().fileFrom(pos.txid().value() + 1);
    if (file == null || !LogTail.entry(file).header().preApply().equals(pos.checksum())) {
      file = database.log().fileFrom(1); // a snapshot, which replaced what was before it
    }
    if (file == null) {
      throw new StoreException("transaction " + pos.txid().next() + " is not in the log");
    }
    return file;
  }

  /**
   * Does ahead of {@link #close} what writers would have to wait for then, if all that was received
   * has been applied.
   */
  void prepareToClose() throws StoreException {
    long deadline = System.nanoTime() + PREPARATION_PATIENCE.toNanos();
    if (tryLock(use, deadline)) {
      try {
        if (!isBehind(deadline)) {
          applier.prepareToClose();
        }
      } finally {
        use.unlock();
      }
    }
  }

  /** Gives the locks back. The stream has ended. */
  void close() {
    endWith(applier::close);
    database.waitsFor(null);
  }

  /** Applies nothing any more, and lets nobody write. The stream has ended. */
  void standStill() {
    endWith(applier::standStill);
  }

  private void endWith(Runnable last) {
    Thread thread;
    synchronized (this) {
      closed = true;
      thread = catchingUp;
    }
    if (thread != null) {
      thread.interrupt();
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    // Not while the thread of a stream that has ended is applying: the locks must not go then.
    use.lock();
    try {
      sealed = true;
      last.run();
    } finally {
      use.unlock();
    }
  }
}

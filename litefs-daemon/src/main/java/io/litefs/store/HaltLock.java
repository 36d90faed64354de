package io.litefs.store;

import io.litefs.ltx.LtxHeader;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The halt lock of one database on the primary. While somebody has it, the daemon holds SQLite's
 * write locks, and for a WAL database it is the one that appends to the WAL, as on a replica
 * ({@link Applier}).
 */
final class HaltLock {

  private static final Logger logger = LoggerFactory.getLogger(HaltLock.class);

  /** How long applications are waited for at a time. */
  private static final Duration SLICE = Duration.ofMillis(200);

  private static final String REFUSED = "not committed";
  private static final String UNCERTAIN = "the transaction may stay or not";

  private final Store store;
  private final Database database;

  /** Guards all below. A transaction is applied under it, so a lock never expires meanwhile. */
  private final ReentrantLock mutex = new ReentrantLock();

  private final Condition free = mutex.newCondition();

  /** Null if nobody has the lock. */
  private Applier applier;

  private long holder;

  /** Nanotime. */
  private long deadline;

  /**
   * A transaction is in the log and could not be applied: nobody may write until the next start.
   */
  private boolean stuck;

  HaltLock(Store store, Database database) {
    this.store = store;
    this.database = database;
  }

  Database database() {
    return database;
  }

  HaltLocks.Grant acquire(long id) throws IOException, InterruptedException {
    long end = System.nanoTime() + HaltLocks.PATIENCE.toNanos();
    if (!mutex.tryLock(HaltLocks.PATIENCE.toNanos(), TimeUnit.NANOSECONDS)) {
      throw busy("a transaction of its holder is being applied");
    }
    try {
      while (isHeld() && holder != id) {
        if (free.awaitNanos(end - System.nanoTime()) <= 0) {
          throw busy("another node has its halt lock");
        }
      }
      if (!isHeld()) {
        take(id, Math.max(0, end - System.nanoTime()));
      }
      deadline = System.nanoTime() + HaltSession.TTL.toNanos();
      expireLater();
      return new HaltLocks.Grant(id, database.pos(), Instant.now().plus(HaltSession.TTL));
    } finally {
      mutex.unlock();
    }
  }

  private boolean isHeld() {
    return applier != null;
  }

  private HaltRefusedException busy(String who) {
    return new HaltRefusedException(
        HaltRefusedException.Reason.BUSY, database.name() + " cannot be halted: " + who);
  }

  private void take(long id, long nanos) throws IOException {
    if (!database.state().exists()) {
      throw new HaltRefusedException(
          HaltRefusedException.Reason.NO_DATABASE, "no such database: " + database.name());
    }
    Applier taken = new Applier(store, database);
    boolean done = false;
    try {
      if (!whileLeading(nanos, taken::keepWritersOut)) {
        throw busy(
            taken.writer().map(Object::toString).orElse("another process") + " is writing to it");
      }
      requireLease(REFUSED);
      database.access().halt(true);
      database.captureUnjournaled(); // of a writer that ended a moment ago
      done = true;
    } finally {
      if (!done) {
        database.access().halt(false);
        taken.close();
      }
    }
    applier = taken;
    holder = id;
    logger.info(
        "{}: halted at {} for a replica (lock {}); applications here cannot write to it",
        database.name(),
        database.pos(),
        Long.toUnsignedString(id));
  }

  private void expireLater() {
    store.inBackgroundAfter(
        HaltSession.TTL.toMillis() + 10, TimeUnit.MILLISECONDS, this::expireIfDue);
  }

  private void expireIfDue() {
    mutex.lock();
    try {
      if (isHeld() && System.nanoTime() - deadline >= 0) {
        free("expired");
      }
    } finally {
      mutex.unlock();
    }
  }

  void release(long id) {
    mutex.lock();
    try {
      if (isHeld() && holder == id) {
        free("given back");
      }
    } finally {
      mutex.unlock();
    }
  }

  /** Nobody has it any more. */
  void end() {
    mutex.lock();
    try {
      if (isHeld()) {
        free("ended: this node is no longer the primary");
      }
    } finally {
      mutex.unlock();
    }
  }

  private void free(String how) {
    if (stuck) {
      return;
    }
    logger.info(
        "{}: halt lock {} {}, at {}",
        database.name(),
        Long.toUnsignedString(holder),
        how,
        database.pos());
    database.access().halt(false);
    applier.close();
    applier = null;
    free.signalAll();
  }

  void apply(long id, InputStream in) throws IOException {
    // Received outside of the mutex: a client that is slow holds up nobody.
    Path temporary =
        Files.createTempFile(database.log().temporaryFile().getParent(), "tx-", ".tmp");
    try {
      ReceivedTransaction transaction = ReceivedTransaction.receive(in, temporary, new PageTable());
      mutex.lock();
      try {
        if (isInLog(transaction)) {
          database.log().sync();
          requireLease(UNCERTAIN);
          return;
        }
        requireHolder(id);
        apply(transaction, temporary);
      } finally {
        mutex.unlock();
      }
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /** Its sender did not get our answer and sends it again; whoever holds the lock now. */
  private boolean isInLog(ReceivedTransaction transaction) throws IOException {
    if (transaction.pos().equals(database.pos())) {
      return true;
    }
    Path file = database.log().fileFrom(transaction.header().minTxid().value());
    if (file == null) {
      return false;
    }
    try (FileChannel channel = LtxLog.openForReading(file)) {
      LtxHeader header = LtxLog.readHeader(channel, file);
      return header.nodeId() == transaction.header().nodeId()
          && LtxLog.posAfter(channel, header).equals(transaction.pos());
    }
  }

  private void requireHolder(long id) throws HaltRefusedException {
    if (!isHeld() || holder != id || stuck) {
      throw new HaltRefusedException(
          HaltRefusedException.Reason.NOT_HELD,
          database.name()
              + ": the halt lock "
              + Long.toUnsignedString(id)
              + " is not held (any more)");
    }
  }

  private void apply(ReceivedTransaction transaction, Path file) throws IOException {
    LtxHeader header = transaction.header();
    if (header.isSnapshot() || header.commit() == 0 || !header.minTxid().equals(header.maxTxid())) {
      throw new HaltRefusedException(
          HaltRefusedException.Reason.DOES_NOT_FOLLOW,
          database.name() + ": only single transactions that leave a database are accepted");
    }
    try {
      applier.verify(transaction);
    } catch (StoreException e) {
      throw new HaltRefusedException(HaltRefusedException.Reason.DOES_NOT_FOLLOW, e.getMessage());
    }
    // Whatever can fail comes before the transaction is in the log; from there on there is no way
    // back.
    store.reserve().require(bytes(transaction));
    Applier locks = applier;
    if (!whileLeading(
        HaltLocks.PATIENCE.toNanos(), patience -> locks.keepReadersOut(transaction, patience))) {
      throw busy(
          applier.blocker().map(Object::toString).orElse("another process") + " is reading it");
    }
    boolean logged = false;
    try {
      requireLease(REFUSED);
      database.log().adopt(file, header);
      logged = true;
    } finally {
      if (!logged) {
        applier.letReadersIn(transaction);
      }
    }
    carryOut(transaction.at(database.log().lastFile()));
    // If this fails its sender takes the transaction for refused, and gets it on the stream.
    database.log().sync();
    // Another node may have been asked how far it is before the transaction was there, or lead with
    // it: nobody can say now.
    requireLease(UNCERTAIN);
  }

  /** What waits for applications with the locks of a database. */
  private interface Waiting {
    boolean forAtMost(Duration patience) throws IOException;
  }

  /**
   * Waits with the mutex held, which whoever ends this node's time as the primary needs: so not
   * longer than that lasts.
   */
  private boolean whileLeading(long nanos, Waiting waiting) throws IOException {
    long end = System.nanoTime() + nanos;
    while (true) {
      requireLease(REFUSED);
      long left = end - System.nanoTime();
      if (waiting.forAtMost(Duration.ofNanos(Math.min(Math.max(0, left), SLICE.toNanos())))) {
        return true;
      }
      if (left <= SLICE.toNanos()) {
        return false;
      }
    }
  }

  /** The role is always a little late. */
  private void requireLease(String consequence) throws HaltRefusedException {
    if (!store.mayCommit()) {
      throw new HaltRefusedException(
          HaltRefusedException.Reason.NOT_PRIMARY,
          database.name() + ": this node's lease as the primary has ended; " + consequence);
    }
  }

  private static long bytes(ReceivedTransaction transaction) {
    long pages = 0;
    PageTable received = transaction.checksums();
    for (long pgno = received.next(1); pgno != 0; pgno = received.next(pgno + 1)) {
      pages++;
    }
    return pages * transaction.header().pageSize();
  }

  private void carryOut(ReceivedTransaction transaction) throws IOException {
    try {
      try {
        applyOrFail(transaction);
      } catch (ErrnoException e) {
        if (e.errno() != Errno.ENOSPC && e.errno() != Errno.EDQUOT) {
          throw e;
        }
        store.reserve().release();
        applyOrFail(transaction);
      }
    } catch (IOException | RuntimeException e) {
      stuck = true;
      logger.error(
          "{}: transaction {} is in the log and could not be applied: {}; nobody can write to the "
              + "database before litefs is started again, which applies it",
          database.name(),
          transaction.header().minTxid(),
          e.getMessage());
      throw e;
    }
  }

  private void applyOrFail(ReceivedTransaction transaction) throws IOException {
    if (!applier.apply(transaction, HaltLocks.PATIENCE)) {
      throw new StoreException(database.name() + ": the locks that were taken are gone");
    }
  }
}

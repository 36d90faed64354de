package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Whether applications on this node may write to a database, and whether what they commit counts:
 * on the primary as long as its lease lasts and no replica has the halt lock, on a replica as long
 * as this node has it.
 *
 * <p>Asked by any thread; what decides about a commit is called under the database's lock.
 */
final class WriteAccess implements CommitGate {

  private final Store store;
  private final Database database;

  /** On a replica, the time for which applications may write; null if they may not. */
  private volatile HaltSession session;

  /** On a primary, whether a replica has the halt lock, so that nothing here may write. */
  private volatile boolean halted;

  /** What is recorded next takes back a commit that failed, so it must not wait or fail. */
  private boolean takingBack;

  /** What is recorded next nothing could take back, so it must not fail for want of replicas. */
  private boolean irrevocable;

  WriteAccess(Store store, Database database) {
    this.store = store;
    this.database = database;
  }

  /** Whether applications on this node may begin transactions. */
  boolean isOpen() {
    HaltSession now = session;
    return store.isPrimary() || now != null && now.isActive();
  }

  /**
   * @throws ErrnoException EROFS if applications on this node may not begin transactions
   */
  void require() throws ErrnoException {
    if (!isOpen()) {
      store.requireWritable(database.name());
    }
  }

  /**
   * As {@link #require}, and the lease of a primary must not have ended.
   *
   * @throws ErrnoException EROFS if a transaction that began now could not be committed
   */
  void requireForCommit() throws ErrnoException {
    HaltSession now = session;
    if (now == null || !now.isActive()) {
      store.requireWritable(database.name());
    }
  }

  // ------------------------------------------------- what is committed

  @Override
  public void beforeRecording() throws ErrnoException {
    HaltSession now = session;
    if (now != null) {
      now.requireActive();
    }
  }

  @Override
  public void beforeAppend(Path file, Pos after) throws ErrnoException {
    HaltSession now = session;
    CommitSync sync = store.commitSync();
    if (now != null) {
      now.forward(file, after);
      return;
    }
    if (takingBack) {
      return; // It must neither wait nor fail.
    }
    store.pace().await(database.name(), database.pos().txid());
    if (sync != null && store.isPrimary() && !irrevocable) {
      sync.before(database.name());
    }
  }

  /** What is written under the halt lock the primary has accepted. */
  @Override
  public void afterAppend() throws ErrnoException {
    if (session == null && !store.mayCommit()) {
      throw new ErrnoException(
          Errno.EROFS,
          database.name() + ": this node's lease as the primary has ended; not committed");
    }
  }

  @Override
  public void revoked() {
    HaltSession now = session;
    if (now != null) {
      now.revoked();
    }
  }

  // ------------------------------------------------- waiting for replicas

  /** Whether commits here wait for replicas. */
  boolean waitsForReplicas() {
    return store.commitSync() != null && session == null;
  }

  /**
   * Waits until enough replicas have the database's position.
   *
   * @return false if the commit must fail
   */
  boolean awaitReplicas() {
    CommitSync sync = store.commitSync();
    if (sync == null || takingBack || session != null) {
      return true;
    }
    boolean acknowledged = store.isPrimary() && sync.await(database.name(), database.pos());
    // What a replica has said after the lease's end the next primary may not have waited for.
    return !sync.mayFail() || acknowledged && store.mayCommit();
  }

  /**
   * Runs what may record a transaction that is none of SQLite's with a journal or a WAL: there is
   * nobody who would roll it back, and what it replaces is gone. So it waits for replicas, and
   * stays if too few have it in time.
   */
  void irrevocably(Database.Change recording) throws IOException {
    Pos before = database.pos();
    irrevocable = true;
    try {
      recording.run();
    } finally {
      irrevocable = false;
    }
    CommitSync sync = store.commitSync();
    if (sync != null && !takingBack && session == null && !database.pos().equals(before)) {
      sync.awaitIrrevocable(database.name(), database.pos());
    }
  }

  /** Whether what is recorded next takes back a commit that failed. */
  boolean isTakingBack() {
    return takingBack;
  }

  void takingBack(boolean now) {
    takingBack = now;
  }

  ErrnoException tooFewReplicas(Txid failed) {
    return new ErrnoException(
        Errno.EIO,
        database.name() + ": too few replicas have transaction " + failed + "; it is taken back");
  }

  // ------------------------------------------------- the halt lock

  /**
   * Null unless applications of this replica may write for a while, or could until a moment ago.
   */
  HaltSession session() {
    return session;
  }

  /** Lets applications write, or (null) takes note that what they wrote is settled. */
  void session(HaltSession next) {
    database.lock.lock();
    try {
      session = next;
    } finally {
      database.lock.unlock();
    }
  }

  /**
   * A transaction without any journal could not be taken back if the primary refuses it. (SQLite
   * may write pages that were free before the journal's header is valid.)
   */
  void requireJournalIfForwarded() throws ErrnoException {
    if (session != null && database.file(FileKind.JOURNAL) == null) {
      throw new ErrnoException(
          Errno.EROFS,
          database.name() + ": on a replica only transactions with a journal can be written");
    }
  }

  /** Says whether a replica has the halt lock of this primary's database. */
  void halt(boolean now) {
    halted = now;
  }

  boolean isHalted() {
    return halted;
  }

  /** Refuses what SQLite's locks do not keep from happening. */
  void requireNotHalted() throws ErrnoException {
    if (halted) {
      throw new ErrnoException(
          Errno.EBUSY, database.name() + ": a replica is writing to it (halt lock)");
    }
  }
}

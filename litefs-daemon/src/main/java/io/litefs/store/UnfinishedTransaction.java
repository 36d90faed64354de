package io.litefs.store;

import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What applications have written to a database file and not committed: when this node ceases to be
 * the primary or to have the halt lock, or when their process dies. Who undoes it holds SQLite's
 * EXCLUSIVE lock, so that nobody goes on with it meanwhile.
 *
 * <p>Thread-safe: it takes the database's locks.
 */
final class UnfinishedTransaction {

  private static final Logger logger = LoggerFactory.getLogger(UnfinishedTransaction.class);

  private final Database database;

  UnfinishedTransaction(Database database) {
    this.database = database;
  }

  /** Whether the database file may have writes of a transaction that was never committed. */
  boolean isThere() {
    database.lock.lock();
    try {
      return database.journal().isActive() || database.plain().canUndo();
    } finally {
      database.lock.unlock();
    }
  }

  /**
   * Undoes what applications wrote while they could, and did not commit before this node ceased to
   * be the primary or to have the halt lock, and removes the journal. The caller holds SQLite's
   * EXCLUSIVE lock.
   */
  void rollBack() throws IOException {
    database.stable.writeLock().lock();
    database.lock.lock();
    try {
      RollbackJournal journal = database.journal();
      BackingFile file = database.file(FileKind.DATABASE);
      if (writeBack()) {
        logger.info(
            "{}: rolled back a transaction that was not committed in time", database.name());
      }
      if (file != null && database.plain().canUndo()) {
        database.plain().undo(file);
      }
      if (file != null) {
        database.syncPages(file); // While the journal is there, all can be done again.
        database.strayPages().find(file, journal.capture());
      }
      journal.remove();
      database.signalChange();
    } finally {
      database.lock.unlock();
      database.stable.writeLock().unlock();
    }
    tellKernel();
  }

  /** Whether there is a journal with a valid header; nobody's, if the caller holds RESERVED. */
  boolean hasHotJournal() {
    database.lock.lock();
    try {
      return database.journal().isActive();
    } finally {
      database.lock.unlock();
    }
  }

  /**
   * On a primary: rolls back a transaction that its writer has left, as the next connection would.
   * If it is in the log, it is taken back. The caller holds SQLite's EXCLUSIVE lock.
   */
  void rollBackHotJournal() throws IOException {
    database.change(
        true,
        () -> {
          if (writeBack()) {
            database.syncPages(database.file(FileKind.DATABASE));
            database.access().takingBack(true);
            database.journal().commit();
            database.journal().remove();
          }
        });
    tellKernel();
  }

  /**
   * Writes into the database file what an active journal has of it. Caller holds the locks.
   *
   * @return false if there is no such journal
   */
  private boolean writeBack() throws IOException {
    BackingFile file = database.file(FileKind.DATABASE);
    BackingFile undo = database.file(FileKind.JOURNAL);
    if (file == null || undo == null || !database.journal().isActive()) {
      return false;
    }
    HotJournal.rollBack(undo, file);
    file.touch();
    return true;
  }

  /** Before SQLite's lock goes: whoever gets it next must see the pages as they are. */
  private void tellKernel() {
    database.kernelCache().invalidate(database.name(), 0, 0);
    database.kernelCache().invalidateEntry(database.name() + "-journal");
  }
}

package io.litefs.store;

import io.litefs.ltx.PageChecksum;
import java.io.IOException;

/**
 * Pages that do not hold what the position says: free ones, which SQLite does not journal, that a
 * transaction wrote which was taken back; and those of one that failed and is in the log all the
 * same. On a replica only a snapshot mends them; a node that is primary makes a transaction of what
 * they hold.
 *
 * <p>After a kill a {@link StrayPagesMark} tells of the former, and the log itself has the latter:
 * no base is made beyond it.
 *
 * <p>Written under the database's lock, read by any thread.
 */
final class StrayPages {

  private final Database database;

  /** Null if there are none. */
  private volatile PageTable pages;

  /** Whether they are those of a transaction that only the log has. */
  private volatile boolean behindLog;

  StrayPages(Database database) {
    this.database = database;
  }

  /** Whether only a snapshot brings the file to the database's position. */
  boolean areThere() {
    return pages != null;
  }

  boolean areBehindLog() {
    return behindLog;
  }

  /** Nobody here sees these pages as the log has them, and no transaction will restore them. */
  void onlyTheLogHas(PageTable unseen) {
    pages = unseen;
    behindLog = true;
  }

  /**
   * A transaction was rolled back: looks for pages it wrote that are not what they were.
   *
   * @param journal that of the transaction
   */
  void find(BackingFile file, JournalCapture journal) throws IOException {
    PageTable stray = new PageTable();
    if (pages != null) {
      stray.putAll(pages);
    }
    DatabaseState state = database.state();
    int pageSize = state.pageSize();
    PageTable written = journal.dirty();
    for (long pgno = written.next(1);
        pgno != 0 && pgno <= state.pageCount();
        pgno = written.next(pgno + 1)) {
      long known = database.checksums().get(pgno);
      if (known != 0
          && known != PageChecksum.of(pgno, database.pages().page(file, pgno, pageSize))) {
        stray.put(pgno, 1);
      }
    }
    pages = stray.isEmpty() ? null : stray;
    if (pages != null) {
      StrayPagesMark.set(database.files().dir());
    }
    behindLog |= journal.isLogged() && pages != null;
  }

  /** The whole database has been replaced. */
  void forget() throws IOException {
    StrayPagesMark.clear(database.files().dir());
    pages = null;
    behindLog = false;
  }

  /**
   * On a node that is primary now: what they hold becomes a transaction, as after any rollback, or
   * part of one that has begun already. It does not wait for replicas: none follows yet.
   */
  void record() throws IOException {
    database.lock.lock();
    try {
      BackingFile file = database.file(FileKind.DATABASE);
      if (pages != null && file != null) {
        recordFrom(file);
      }
      forget();
    } finally {
      database.lock.unlock();
    }
  }

  private void recordFrom(BackingFile file) throws IOException {
    PlainWrites plain = database.plain();
    WriteAccess access = database.access();
    if (plain.areThere()) {
      plain.include(pages);
    } else if (database.isMidTransaction()) {
      database.journal().capture().dirty().putAll(pages);
    } else if (database.wal().isActive()) {
      database.wal().capture().recordAsSeen(database.file(FileKind.WAL), file, pages);
    } else {
      access.takingBack(true);
      try {
        database.recordFromFile(file, database.pages().header(file), pages);
      } finally {
        access.takingBack(false);
      }
    }
  }
}

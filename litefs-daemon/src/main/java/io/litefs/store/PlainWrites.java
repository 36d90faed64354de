package io.litefs.store;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.DatabaseHeader;
import java.io.IOException;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is written to a database file with neither journal nor WAL: transactions in {@code
 * journal_mode} {@code MEMORY} or {@code OFF}, and databases that arrive by plain file operations.
 * Nothing in the writes themselves says where they end: a sync, a lock that is let go ({@link
 * UnjournaledCapture}) or the last close does.
 *
 * <p>Guarded by the database's lock, but for what says otherwise.
 */
final class PlainWrites {

  private static final Logger logger = LoggerFactory.getLogger(PlainWrites.class);

  private final Database database;
  private final DatabaseFiles files;
  private final UndoPages undo;
  private final UnjournaledCapture capture;

  /** Pages written to, if the database existed before. */
  private final PageTable touched = new PageTable();

  private volatile boolean written;

  /**
   * Whether the content before a truncation to nothing is kept aside until what arrives instead is
   * complete.
   */
  private volatile boolean arriving;

  PlainWrites(Database database, UnjournaledCapture capture) {
    this.database = database;
    this.files = database.files();
    this.undo = new UndoPages(files.dir());
    this.capture = capture;
  }

  /** Whether there are writes that are in no transaction yet. Any thread. */
  boolean areThere() {
    return written || arriving;
  }

  /** Whether the former content is aside and another database is being written. Any thread. */
  boolean areArrival() {
    return arriving;
  }

  /**
   * Whether they are those of a transaction in a database that exists. Any thread; may be out of
   * date.
   */
  boolean areTransaction() {
    return written && !arriving && database.state().exists();
  }

  // ------------------------------------------------- as they come

  /** Before a write. */
  void writing(BackingFile file, long offset, int length) throws ErrnoException {
    DatabaseState state = database.state();
    if (state.exists() && !arriving) {
      save(file, offset, offset + length);
      JournalCapture.mark(touched, offset, length, state.pageSize());
    }
    written = true;
    if (areTransaction()) {
      capture.captureSoon();
    }
  }

  /**
   * Before the file is cut or extended. Truncation to nothing begins an arrival: the content goes
   * aside.
   */
  void truncating(BackingFile file, long size) throws IOException {
    DatabaseState state = database.state();
    long committed = state.pageCount() * state.pageSize();
    if (file.size() != size && size != committed) {
      if (size == 0 && state.exists() && !arriving) {
        files.setAside(file);
        arriving = true;
      } else if (state.exists() && !arriving) {
        save(file, size, committed);
      }
      written = true;
    }
    if (size == 0 && arriving) {
      touched.clear();
    }
  }

  /**
   * Before a write or a cut under a rollback journal on a replica that may write for a while: keeps
   * what is there, since SQLite's own journal does not have pages that were free.
   */
  void keep(BackingFile file, long from, long to) throws ErrnoException {
    if (database.state().exists() && !arriving) {
      save(file, from, to);
    }
  }

  /** Whether there is something to {@link #undo}. */
  boolean canUndo() {
    return undo.isThere() || areThere();
  }

  /** Brings the database back to its position. */
  void undo(BackingFile file) throws IOException {
    discard(file);
  }

  /** Keeps the pages in a range of bytes as they are. */
  private void save(BackingFile file, long from, long to) throws ErrnoException {
    DatabaseState state = database.state();
    int pageSize = state.pageSize();
    undo.begin(pageSize, state.pageCount());
    long last = Math.min(state.pageCount(), (to - 1) / pageSize + 1);
    for (long pgno = from / pageSize + 1; pgno <= last; pgno++) {
      if (!undo.has(pgno)) {
        undo.save(pgno, database.pages().page(file, pgno, pageSize));
      }
    }
  }

  // ------------------------------------------------- their end

  /** Makes them a transaction if the file is a complete database now. */
  void commitIfComplete(BackingFile file) throws IOException {
    if (written && incompleteReason(file).isEmpty()) {
      commit(file);
    }
  }

  /**
   * A descriptor that wrote was closed: what there is becomes a transaction, or an error.
   *
   * @param last whether no more can come; then what is no database is discarded
   * @throws ErrnoException EIO if it is no database
   */
  void closed(BackingFile file, boolean last) throws IOException {
    if (!written) {
      return;
    }
    Optional<String> reason = incompleteReason(file);
    if (reason.isEmpty()) {
      commit(file);
      return;
    }
    String what =
        database.name()
            + " was written by plain file operations and is no database: "
            + reason.get();
    if (last) {
      discard(file);
      logger.error("{}; it was discarded", what);
    } else {
      logger.warn("{}; close(2) fails with EIO", what);
    }
    throw new ErrnoException(Errno.EIO, what);
  }

  /**
   * A transaction with a rollback journal ends: what was written without one before, and whose end
   * was not seen yet, is part of it. The two can no longer be told apart in the file.
   */
  void join(PageTable transaction) {
    if (areTransaction()) {
      transaction.putAll(touched);
    }
  }

  /** Pages that were written to before they began are part of them. */
  void include(PageTable pages) {
    touched.putAll(pages);
  }

  /** The transaction that they {@link #join joined} is in the log. */
  void joined() throws IOException {
    if (areTransaction() || !areThere() && undo.isThere()) {
      forget();
    }
  }

  /** Why the file is no complete database; empty if it is one, or if it is empty and always was. */
  private Optional<String> incompleteReason(BackingFile file) throws IOException {
    long size = file.size();
    if (size == 0) {
      // To SQLite an empty file is a database; in the place of one with content it is a loss.
      return database.state().exists() ? Optional.of("it is empty") : Optional.empty();
    }
    return DatabaseHeader.incompleteReason(database.pages().beginning(file), size);
  }

  private void commit(BackingFile file) throws IOException {
    if (file.size() > 0) {
      DatabaseHeader header = database.pages().header(file);
      if (arriving) {
        // The log gets only what differs from the content before: the rest must be on disk.
        file.file().fsync();
      }
      database
          .access()
          .irrevocably(
              () -> {
                if (arriving) {
                  database.recordWhole(file, header);
                } else {
                  database.recordFromFile(file, header, touched);
                }
              });
    }
    if (arriving) {
      files.forgetAside();
    }
    forget();
  }

  /** The database before comes back, or the file goes if there was none. */
  private void discard(BackingFile file) throws IOException {
    DatabaseState state = database.state();
    if (arriving) {
      files.bringBack(file);
      database.contentChangedInHandler();
    } else if (!state.exists()) {
      database.removeNeverWritten();
    } else {
      undo.restore(file.file(), state.pageSize());
      file.file().truncate(state.pageCount() * state.pageSize());
      file.file().fdatasync(); // Before what could be written back again goes.
      file.touch();
      database.contentChangedInHandler();
    }
    forget();
  }

  /** They are in a transaction, or gone. */
  void forget() throws IOException {
    undo.clear();
    touched.clear();
    written = false;
    arriving = false;
    database.signalChange();
  }
}

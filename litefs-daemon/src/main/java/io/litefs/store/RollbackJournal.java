package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.DatabaseHeader;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The rollback journal of a database: what applications do to this file, and the commit that its
 * end is.
 *
 * <p>What the mount calls takes the database's locks; for the other methods the caller holds its
 * lock.
 */
public final class RollbackJournal {

  private static final Logger logger = LoggerFactory.getLogger(RollbackJournal.class);

  private final Store store;
  private final Database database;
  private final DatabaseFiles files;
  private final WriteAccess access;
  private final PlainWrites plain;
  private final JournalCapture capture = new JournalCapture();

  RollbackJournal(Store store, Database database) {
    this.store = store;
    this.database = database;
    this.files = database.files();
    this.access = database.access();
    this.plain = database.plain();
  }

  /** What is known of the file and of the pages that it protects. */
  JournalCapture capture() {
    return capture;
  }

  /** Whether it has a valid header. */
  boolean isActive() {
    return capture.isActive();
  }

  /** Whether its transaction has written to the database file. */
  boolean isMidTransaction() {
    return capture.isActive() && !capture.dirty().isEmpty();
  }

  /** It is gone, empty or new. */
  void reset() {
    capture.reset();
  }

  // ------------------------------------------------- the file

  /**
   * Before an application makes it, with which its transaction begins. Why not is told by EACCES
   * and no other errno: SQLite's unix VFS ({@code unixOpen} in {@code os_unix.c}) makes "attempt to
   * write a readonly database" of it, of others "unable to open database file".
   *
   * @throws ErrnoException EACCES if the transaction could not be committed
   */
  public void requireMayBegin() throws ErrnoException {
    try {
      access.requireForCommit();
    } catch (ErrnoException e) {
      throw new ErrnoException(
          Errno.EACCES, database.name() + ": no transaction can begin here", e);
    }
  }

  public void write(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    database.metrics().journalWrites.increment();
    database.change(
        false,
        () -> {
          boolean current = file == files.get(FileKind.JOURNAL);
          if (current && capture.isInvalidatedBy(from, offset)) {
            commit();
          } else if (current) {
            requireUpToDate(from, offset);
          }
          ByteBuffer written = from.duplicate();
          file.file().pwrite(from, offset);
          if (current) {
            capture.written(written, offset);
          }
        });
  }

  /**
   * Refuses the journal of a transaction that begins on an old state of the database: it would
   * overwrite page 1, which has the database's size and its free pages, with what it was once.
   *
   * <p>SQLite makes such transactions. A connection that leaves WAL mode ({@code
   * sqlite3PagerCloseWal} in {@code pager.c}) gives up EXCLUSIVE before it writes the header; one
   * that begins to read in this moment still finds a WAL database, makes the WAL anew and writes to
   * it; the first waits until that one is closed, and looks at nothing again. Seen with 3.40.1 and
   * 3.54.1.
   *
   * @throws ErrnoException EIO. Nothing of the transaction is in the database file then, nor in a
   *     journal from which it could be rolled back
   */
  private void requireUpToDate(ByteBuffer from, long offset) throws ErrnoException {
    boolean withoutWal =
        !capture.isActive()
            && database.wal().capture().hasTransactions()
            && !JournalCapture.isErasure(from);
    if (withoutWal || (capture.isPageOne(from, offset) && !isInDatabase(from))) {
      String message =
          database.name()
              + ": refused a transaction of a connection that did not see the last ones, as happens in SQLite"
              + " when the journal mode changes while others open the database; it can try again";
      logger.warn(message);
      throw new ErrnoException(Errno.EIO, message);
    }
  }

  /** Whether the database file begins with these bytes, or is encrypted, and differs each time. */
  private boolean isInDatabase(ByteBuffer page) throws ErrnoException {
    BackingFile file = files.get(FileKind.DATABASE);
    if (file == null) {
      return true;
    }
    ByteBuffer present = DirectBuffers.take(page.remaining());
    try {
      file.file().preadMost(present, 0);
      return present.flip().equals(page) || !DatabaseHeader.isPlain(present);
    } finally {
      DirectBuffers.give(present);
    }
  }

  public void truncate(BackingFile file, long size) throws ErrnoException {
    end(
        () -> {
          boolean ends = file == files.get(FileKind.JOURNAL) && size < JournalCapture.HEADER_BYTES;
          if (ends && capture.isActive()) {
            commit();
          }
          file.file().truncate(size);
          if (ends) {
            capture.reset();
          }
        });
  }

  public void sync(BackingFile file) throws ErrnoException {
    file.file().fdatasync();
    database.syncLog();
  }

  /** Removes it: the commit of a transaction if its header is valid. */
  public void unlink() throws ErrnoException {
    end(
        () -> {
          if (capture.isActive()) {
            commit();
          }
          remove();
        });
  }

  /** Removes it without a commit. */
  void remove() throws IOException {
    files.remove(FileKind.JOURNAL);
    capture.reset();
  }

  /**
   * Its end. One that has nothing to undo may go on any node: so an application whose node has
   * ceased to be the primary gets out of its transaction.
   */
  private void end(Database.Change change) throws ErrnoException {
    database.lock.lock();
    try {
      if (!capture.dirty().isEmpty() || plain.areThere()) {
        database.requireChangeable();
      }
      change.run();
    } catch (IOException e) {
      throw database.errnoOf(e);
    } finally {
      database.lock.unlock();
    }
  }

  // ------------------------------------------------- the transaction

  /** Before a write to the database file, while this is active. */
  void beforeDatabaseWrite(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    requireSpace(file, from, offset);
    if (access.session() != null) {
      plain.keep(file, offset, offset + from.remaining());
    }
    capture.markDirty(offset, from.remaining());
  }

  /** Before the database file is cut or extended, while this is active. */
  void beforeDatabaseTruncate(BackingFile file, long size) throws ErrnoException {
    if (access.session() != null && size < file.size()) {
      plain.keep(file, size, file.size());
    }
  }

  /**
   * Refuses a write that makes more pages part of a transaction for which there is no space.
   *
   * <p>A rollback is never refused: it writes pages that were written to before, or what is there.
   *
   * @throws ErrnoException ENOSPC
   */
  private void requireSpace(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    long more = capture.newlyDirtyBytes(offset, from.remaining());
    if (more == 0) {
      return;
    }
    try {
      store.reserve().require(capture.dirtyBytes() + more);
    } catch (ErrnoException e) {
      ByteBuffer present = ByteBuffer.allocateDirect(from.remaining());
      file.file().preadMost(present, offset);
      if (!present.flip().equals(from)) {
        throw e;
      }
    }
  }

  /**
   * It is about to become invalid: what it protected is a transaction, or nothing if it was rolled
   * back. The transaction ends with the journal itself.
   */
  void commit() throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    PageTable dirty = capture.dirty();
    if (file != null) {
      plain.join(dirty);
    }
    Pos before = database.pos();
    if (file != null && !dirty.isEmpty() && file.size() > 0) {
      try {
        record(file, dirty);
      } catch (ErrnoException e) {
        if (e.errno() != Errno.ENOSPC && e.errno() != Errno.EDQUOT) {
          // SQLite rolls back, and the free pages that this leaves changed must not wait for
          // anybody.
          access.takingBack(access.isTakingBack() || access.waitsForReplicas());
          throw e;
        }
        // SQLite takes a full disk for what it is when it writes, not when it removes the journal.
        store.reserve().release();
        record(file, dirty);
      }
      if (!database.pos().equals(before)) {
        capture.logged(); // Until the journal is gone, whatever fails leaves it to be rolled back.
      }
      if (capture.wantsDurability()) {
        database.syncLog();
        if (capture.mayHaveRestored() && database.recorder().hasLeftOut()) {
          // The log has not the pages that are as before, and the journal is about to go.
          file.file().fdatasync();
        }
      }
    }
    if (file != null && file.size() == 0 && database.state().exists() && access.isTakingBack()) {
      database.recordDrop(); // Its first transaction is taken back.
    }
    if (!database.pos().equals(before) && !access.awaitReplicas()) {
      // The journal stays, so SQLite writes the old pages again, which is the next transaction.
      access.takingBack(true);
      throw access.tooFewReplicas(database.pos().txid());
    }
    access.takingBack(false);
    plain.joined();
    database.signalChange();
  }

  private void record(BackingFile file, PageTable dirty) throws IOException {
    database.recordFromFile(file, database.pages().header(file), dirty);
  }
}

package io.litefs.store;

import io.litefs.ltx.PageSize;
import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;

/**
 * What is known of a database's rollback journal: whether its header is valid, so that writes to
 * the database belong to a transaction, and which pages they touched. Guarded by the database's
 * lock.
 *
 * <p>Source: file format document, section 3 "The Rollback Journal".
 */
final class JournalCapture {

  /** SQLite invalidates a journal by zeroing this many bytes. */
  static final int HEADER_BYTES = 28;

  private static final long MAGIC = 0xd9d505f920a163d7L;
  private static final int PAGE_SIZE_OFFSET = 24;

  private final ByteBuffer header = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final ByteBuffer next = ByteBuffer.allocateDirect(HEADER_BYTES);

  /** Pages written to the database under this journal, in units of the journal's page size. */
  private final PageTable dirty = new PageTable();

  private long dirtyBytes;
  private boolean databaseSynced;

  /** Whether any of these was written to twice. */
  private boolean rewritten;

  private boolean logged;

  /** Where the content of page 1 follows if its number was written last; -1 otherwise. */
  private long pageOneOffset = -1;

  /**
   * Whether a valid header is there: a transaction that changes the database is under way, or a
   * crashed one waits for its rollback.
   */
  boolean isActive() {
    return header.getLong(0) == MAGIC && pageSize() > 0;
  }

  /** The page size that the journal records, 0 if it is not a valid one. */
  int pageSize() {
    int size = header.getInt(PAGE_SIZE_OFFSET);
    return PageSize.isValid(size) ? size : 0;
  }

  PageTable dirty() {
    return dirty;
  }

  /** Bytes of the pages that were written to under this journal. */
  long dirtyBytes() {
    return dirtyBytes;
  }

  /** Whether a write of {@code from} at {@code offset} would invalidate an active journal. */
  boolean isInvalidatedBy(ByteBuffer from, long offset) {
    if (!isActive() || offset >= HEADER_BYTES) {
      return false;
    }
    overlay(from, offset);
    return next.getLong(0) != MAGIC;
  }

  /** Whether a write of {@code from} says that there is no transaction (any more). */
  static boolean isErasure(ByteBuffer from) {
    for (int at = from.position(); at < from.limit(); at++) {
      if (from.get(at) != 0) {
        return false;
      }
    }
    return true;
  }

  /**
   * Whether a write of {@code from} at {@code offset} is the old content of page 1, which every
   * transaction puts into its journal. SQLite writes a page's number first, by itself.
   */
  boolean isPageOne(ByteBuffer from, long offset) {
    return offset == pageOneOffset && PageSize.isValid(from.remaining());
  }

  void written(ByteBuffer from, long offset) {
    boolean one =
        from.remaining() == Integer.BYTES && from.duplicate().getInt(from.position()) == 1;
    pageOneOffset = one ? offset + Integer.BYTES : -1;
    if (offset < HEADER_BYTES) {
      overlay(from, offset);
      header.put(0, next, 0, HEADER_BYTES);
      if (!isActive()) {
        transactionEnded();
      }
    }
  }

  private void overlay(ByteBuffer from, long offset) {
    next.put(0, header, 0, HEADER_BYTES);
    int at = (int) offset;
    next.put(at, from, from.position(), Math.min(from.remaining(), HEADER_BYTES - at));
  }

  /** The journal is gone, empty or new. */
  void reset() {
    header.putLong(0, 0).putInt(PAGE_SIZE_OFFSET, 0);
    transactionEnded();
  }

  /** Reads the header of a journal that is already there. */
  void load(BackingFile journal) throws ErrnoException {
    ByteBuffer buffer = header.duplicate().clear();
    while (buffer.hasRemaining()) {
      buffer.put((byte) 0);
    }
    journal.file().preadMost(buffer.clear(), 0);
  }

  /** Bytes of the pages in the range that were not written to under this journal yet. */
  long newlyDirtyBytes(long offset, int length) {
    int pageSize = pageSize();
    long bytes = 0;
    for (long pgno = offset / pageSize + 1; pgno <= (offset + length - 1) / pageSize + 1; pgno++) {
      bytes += dirty.get(pgno) == 0 ? pageSize : 0;
    }
    return bytes;
  }

  void markDirty(long offset, int length) {
    long more = newlyDirtyBytes(offset, length);
    rewritten |= more < length;
    dirtyBytes += more;
    mark(dirty, offset, length, pageSize());
    databaseSynced = false;
  }

  /**
   * The application synced the database in this transaction: it wants to find the transaction after
   * a power cut.
   */
  void databaseSynced() {
    databaseSynced = true;
  }

  boolean wantsDurability() {
    return databaseSynced;
  }

  /**
   * Whether a page may have been given another content and then its old one again: by a rollback,
   * of the transaction or of a part of it, after the cache had spilled.
   */
  boolean mayHaveRestored() {
    return rewritten;
  }

  /** The transaction is in the log. */
  void logged() {
    logged = true;
  }

  /**
   * Whether the log has a transaction that a rollback of this journal undoes: one that failed
   * between its entry in the log and the end of the journal.
   */
  boolean isLogged() {
    return logged;
  }

  private void transactionEnded() {
    dirty.clear();
    dirtyBytes = 0;
    databaseSynced = false;
    rewritten = false;
    logged = false;
  }

  /** Marks every page that the range touches. */
  static void mark(PageTable pages, long offset, int length, int pageSize) {
    long last = (offset + length - 1) / pageSize + 1;
    for (long pgno = offset / pageSize + 1; pgno <= last; pgno++) {
      pages.put(pgno, 1);
    }
  }
}

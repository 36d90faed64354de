package io.litefs.sqlite;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * Undoes a transaction that a crash left unfinished, from its rollback journal, as SQLite does when
 * it finds a hot journal (lockingv3, section 4.2): the file is cut to its former size and the old
 * pages are written back.
 *
 * <p>The caller must know that the journal is nobody's: it is the only process that has the
 * database open, or holds the EXCLUSIVE lock on it. Afterwards it must sync the database file and
 * only then remove the journal (unlink, truncate, or zero its header), whatever the result was;
 * before that, a crash does no harm, since all can be done again.
 *
 * <p>The file need not be byte for byte what it was before the transaction: SQLite does not journal
 * pages that were on the freelist, and a crashed transaction may have written them. Their content
 * means nothing to SQLite, but checksums of pages taken before do not hold for them.
 */
public final class JournalRollback {

  private JournalRollback() {}

  /**
   * What was done.
   *
   * @param hot whether the journal was played back; if not, the database is as it was
   * @param reason why it was not, for a human; empty if {@code hot}
   * @param pageSize of the database in bytes, 0 if not {@code hot}
   * @param pageCount size of the database in pages after the rollback, 0 if not {@code hot}
   * @param restoredPages number of pages written back
   */
  public record Result(
      boolean hot, String reason, int pageSize, long pageCount, long restoredPages) {

    private static Result notHot(String reason) {
      return new Result(false, reason, 0, 0, 0);
    }
  }

  /**
   * Plays {@code journal} back into {@code database}, if SQLite would. Syncs nothing.
   *
   * <p>Unlike SQLite, a journal that names a super-journal (of a transaction over several
   * databases) is played back, too, if that is gone. SQLite takes the transaction for committed in
   * all of them then; here it is committed in those whose journal is gone.
   *
   * @throws IOException if a file cannot be read or written; the rollback must be repeated then
   */
  public static Result rollback(ReadableFile journal, WritableFile database) throws IOException {
    if (journal.size() == 0) {
      return Result.notHot("the journal is empty");
    }
    if (database.size() == 0) {
      // A remnant of another database of this name, or the very first transaction: SQLite only
      // deletes it.
      return Result.notHot("the database is empty");
    }
    if (firstByte(journal) == 0) {
      return Result.notHot("the journal's header is zeroed");
    }
    Optional<JournalReader> reader = JournalReader.open(journal, pageSizeOf(database));
    if (reader.isEmpty()) {
      return Result.notHot("the journal's header is not valid");
    }
    return playBack(reader.get(), database);
  }

  private static Result playBack(JournalReader reader, WritableFile database) throws IOException {
    int pageSize = reader.pageSize();
    resize(database, reader.initialPageCount(), pageSize);
    long restored = 0;
    while (reader.next()) {
      database.write(reader.page(), (reader.pgno() - 1) * pageSize);
      restored++;
    }
    return new Result(true, "", pageSize, reader.initialPageCount(), restored);
  }

  /**
   * As {@code pager_truncate}: a file that lacks whole pages gets them as zeros, one that lacks
   * less stays as it is.
   */
  private static void resize(WritableFile database, long pageCount, int pageSize)
      throws IOException {
    long size = pageCount * pageSize;
    long actual = database.size();
    if (actual > size) {
      database.truncate(size);
    } else if (actual + pageSize <= size) {
      database.write(ByteBuffer.allocateDirect(pageSize), size - pageSize);
    }
  }

  private static int firstByte(ReadableFile journal) throws IOException {
    ByteBuffer first = ByteBuffer.allocateDirect(1);
    journal.read(first, 0);
    return first.get(0);
  }

  private static int pageSizeOf(ReadableFile database) throws IOException {
    ByteBuffer beginning = ByteBuffer.allocateDirect(DatabaseHeader.SIZE);
    database.read(beginning, 0);
    try {
      return DatabaseHeader.parse(beginning.flip()).pageSize();
    } catch (SqliteFormatException e) {
      return 4096; // SQLite's own default; the journal of the last 15 years says it itself
    }
  }
}

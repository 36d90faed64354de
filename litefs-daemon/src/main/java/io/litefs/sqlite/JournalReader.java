package io.litefs.sqlite;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * Reads from a hot journal the pages that SQLite would restore (fileformat2, section 3; the rules
 * for what is torn or missing are those of {@code pager_playback}):
 *
 * <ul>
 *   <li>A segment's header begins at the next multiple of the sector size; without the magic, or
 *       without a whole sector left in the file, the journal ends.
 *   <li>A segment with record count 0 has no records; with {@link JournalHeader#UNKNOWN_RECORDS} it
 *       has as many as fit into the rest of the file.
 *   <li>A record is a page number, the page, and a checksum: the segment's nonce plus every 200th
 *       byte of the page, counted back from its end. A wrong checksum, page number 0, that of the
 *       lock page (a super-journal's name) or the file's end are the end of the journal.
 *   <li>Pages beyond the initial size are skipped, whatever their checksum.
 * </ul>
 *
 * <p>What the journal says is checked before memory is taken for it; that is at most a page.
 */
public final class JournalReader {

  /** What SQLite takes for the sector size as long as it has not read a header. */
  private static final int DEFAULT_SECTOR_SIZE = 512;

  private static final int CHECKSUM_STRIDE = 200;

  private final ReadableFile journal;
  private final long size;
  private final JournalHeader header;
  private final int pageSize;
  private final long lockPage;
  private final ByteBuffer record;

  private int nonce;
  private long recordsLeft;
  private long offset;
  private long pgno;

  private JournalReader(ReadableFile journal, long size, JournalHeader header, int pageSize) {
    this.journal = journal;
    this.size = size;
    this.header = header;
    this.pageSize = pageSize;
    this.lockPage = DatabaseHeader.lockPage(pageSize);
    this.record = ByteBuffer.allocateDirect(pageSize + 8);
    enter(header, 0);
  }

  /**
   * A reader for the journal, or empty if its first header is not valid: then there is nothing to
   * restore, not even a size.
   *
   * @param databasePageSize in bytes; counts only where the journal does not say (SQLite before
   *     3.5.8)
   */
  public static Optional<JournalReader> open(ReadableFile journal, int databasePageSize)
      throws IOException {
    long size = journal.size();
    if (size < DEFAULT_SECTOR_SIZE) {
      return Optional.empty();
    }
    ByteBuffer beginning = ByteBuffer.allocateDirect(JournalHeader.SIZE);
    journal.read(beginning, 0);
    Optional<JournalHeader> header =
        JournalHeader.parse(beginning.flip()).filter(JournalHeader::areSizesValid);
    if (header.isEmpty()) {
      return Optional.empty();
    }
    long pageSize = header.get().pageSize();
    return Optional.of(
        new JournalReader(
            journal, size, header.get(), pageSize == 0 ? databasePageSize : (int) pageSize));
  }

  /** Page size of the records, in bytes. */
  public int pageSize() {
    return pageSize;
  }

  /** Size of the database in pages before the transaction. */
  public long initialPageCount() {
    return header.initialPageCount();
  }

  /**
   * Goes to the next page to be restored; false at the end. A page can come more than once only in
   * a journal that SQLite did not write; the last one counts.
   */
  public boolean next() throws IOException {
    while (true) {
      while (recordsLeft == 0) {
        if (!nextSegment()) {
          return false;
        }
      }
      recordsLeft--;
      record.clear();
      int got = journal.read(record, offset);
      record.flip();
      // SQLite reads the checksum only of records that it does not skip.
      if (got < pageSize + 4) {
        return end();
      }
      offset += pageSize + 8;
      pgno = Integer.toUnsignedLong(record.getInt(0));
      if (pgno == 0 || pgno == lockPage) {
        return end();
      }
      if (pgno <= header.initialPageCount()) {
        return got == pageSize + 8 && record.getInt(pageSize + 4) == checksum() || end();
      }
    }
  }

  /** Page number of the present record. */
  public long pgno() {
    return pgno;
  }

  /** Content of the present record, direct; valid until the next call of {@link #next}. */
  public ByteBuffer page() {
    return record.slice(4, pageSize);
  }

  private boolean end() {
    recordsLeft = 0;
    offset = size;
    return false;
  }

  private boolean nextSegment() throws IOException {
    long sectorSize = header.sectorSize();
    long begin = (offset + sectorSize - 1) / sectorSize * sectorSize;
    if (begin + sectorSize > size) {
      return end();
    }
    ByteBuffer buffer = ByteBuffer.allocateDirect(JournalHeader.SIZE);
    journal.read(buffer, begin);
    Optional<JournalHeader> segment = JournalHeader.parse(buffer.flip());
    if (segment.isEmpty()) {
      return end();
    }
    enter(segment.get(), begin);
    return true;
  }

  private void enter(JournalHeader segment, long begin) {
    nonce = segment.nonce();
    recordsLeft = segment.records();
    offset = begin + header.sectorSize();
    if (recordsLeft == JournalHeader.UNKNOWN_RECORDS) {
      recordsLeft = Math.max(0, size - header.sectorSize()) / (pageSize + 8);
    }
  }

  private int checksum() {
    int sum = nonce;
    for (int i = pageSize - CHECKSUM_STRIDE; i > 0; i -= CHECKSUM_STRIDE) {
      sum += Byte.toUnsignedInt(record.get(4 + i));
    }
    return sum;
  }
}

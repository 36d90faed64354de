package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;

/**
 * The first 28 bytes of a segment of a rollback journal (fileformat2, section 3). Integers are
 * big-endian.
 *
 * <pre>
 *   0  magic d9d505f920a163d7
 *   8  number of page records in this segment; ffffffff: as many as the file has room for
 *  12  nonce: the start value of the records' checksums
 *  16  size of the database in pages before the transaction
 *  20  sector size: segments begin at its multiples, and a header takes up one sector
 *  24  page size
 * </pre>
 *
 * <p>Only the first segment's sizes count. While a segment is being filled its magic and record
 * count are zero, unless nothing is ever synced; they are written when the journal is synced,
 * before the database file is touched.
 *
 * @param records 0 to 4294967295, see {@link #UNKNOWN_RECORDS}
 * @param initialPageCount in pages
 * @param sectorSize in bytes, a power of two from 32 to 65536 if {@link #areSizesValid}
 * @param pageSize in bytes, a power of two from 512 to 65536 if {@link #areSizesValid}; 0 in
 *     journals of SQLite before 3.5.8, where it is the database's
 */
public record JournalHeader(
    long records, int nonce, long initialPageCount, long sectorSize, long pageSize) {

  /** Bytes of the header, without the padding to a sector. */
  public static final int SIZE = 28;

  /** Record count of a journal that is not synced before it is used. */
  public static final long UNKNOWN_RECORDS = 0xffffffffL;

  static final long MAGIC = 0xd9d505f920a163d7L;

  private static final int MIN_SECTOR_SIZE = 32;
  private static final int MAX_SECTOR_SIZE = 65536;

  /**
   * Parses the header at the buffer's position, which stays as it is; empty without the magic or
   * with fewer bytes.
   */
  public static Optional<JournalHeader> parse(ByteBuffer buffer) {
    if (buffer.remaining() < SIZE) {
      return Optional.empty();
    }
    ByteBuffer in = buffer.slice(buffer.position(), SIZE).order(ByteOrder.BIG_ENDIAN);
    if (in.getLong(0) != MAGIC) {
      return Optional.empty();
    }
    return Optional.of(
        new JournalHeader(
            Integer.toUnsignedLong(in.getInt(8)),
            in.getInt(12),
            Integer.toUnsignedLong(in.getInt(16)),
            Integer.toUnsignedLong(in.getInt(20)),
            Integer.toUnsignedLong(in.getInt(24))));
  }

  /**
   * Whether SQLite would play back a journal that begins with these sizes; a page size of 0 is
   * possible.
   */
  public boolean areSizesValid() {
    return sectorSize >= MIN_SECTOR_SIZE
        && sectorSize <= MAX_SECTOR_SIZE
        && (sectorSize & (sectorSize - 1)) == 0
        && (pageSize == 0 || DatabaseHeader.isValidPageSize(pageSize));
  }
}

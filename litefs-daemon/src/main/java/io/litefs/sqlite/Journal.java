package io.litefs.sqlite;

import java.nio.ByteBuffer;

/**
 * A rollback journal as a whole (fileformat2, section 3): segments of a {@link JournalHeader} and
 * page records, and at the end perhaps the name of a super-journal, when the transaction spans
 * several databases (section 3.2 of atomiccommit):
 *
 * <pre>
 *   4  page number of the lock page, which no record can have
 *   n  name of the super-journal, UTF-8, without a terminator
 *   4  n
 *   4  checksum: sum of the name's bytes, each signed
 *   8  the journal's magic
 * </pre>
 *
 * <p>The journal is valid, and the transaction not committed, while its first header is intact.
 * SQLite commits by unlinking it, truncating it to nothing, or overwriting the 28 bytes with zeros.
 */
public final class Journal {

  private Journal() {}

  /**
   * Whether a journal that begins with the remaining bytes (28 are looked at, the position stays)
   * describes a transaction that is not committed, so that SQLite would play it back.
   */
  public static boolean isValidHeader(ByteBuffer beginning) {
    return JournalHeader.parse(beginning).filter(JournalHeader::areSizesValid).isPresent();
  }
}

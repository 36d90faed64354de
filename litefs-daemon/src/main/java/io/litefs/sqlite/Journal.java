package io.litefs.sqlite;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.regex.Pattern;

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

  /** Longest name of a super-journal, in bytes; a longer one counts as none. */
  static final int MAX_SUPER_JOURNAL_NAME = 512;

  private static final int SUPER_JOURNAL_TRAILER = 16;

  private static final Pattern SUPER_JOURNAL_NAME =
      Pattern.compile("[^\\00]*-mj\\p{XDigit}{6}9\\p{XDigit}{2}");

  private Journal() {}

  /**
   * Whether a journal that begins with the remaining bytes (28 are looked at, the position stays)
   * describes a transaction that is not committed, so that SQLite would play it back.
   */
  public static boolean isValidHeader(ByteBuffer beginning) {
    return JournalHeader.parse(beginning).filter(JournalHeader::areSizesValid).isPresent();
  }

  /**
   * The name of the super-journal at the end of the journal, as the application's process wrote it:
   * an absolute path in its view of the filesystem. Empty if there is none or it is damaged, in
   * which case SQLite rolls back.
   *
   * <p>All names that SQLite has given since 2011 end in "-mj", six hexadecimal digits, 9, and two
   * more. Its newest versions take another name for none; so does this.
   */
  public static Optional<String> superJournal(ReadableFile journal) throws IOException {
    long size = journal.size();
    if (size < SUPER_JOURNAL_TRAILER) {
      return Optional.empty();
    }
    ByteBuffer trailer = read(journal, size - SUPER_JOURNAL_TRAILER, SUPER_JOURNAL_TRAILER);
    if (trailer.remaining() < SUPER_JOURNAL_TRAILER) {
      return Optional.empty();
    }
    long length = Integer.toUnsignedLong(trailer.getInt(0));
    if (trailer.getLong(8) != JournalHeader.MAGIC
        || length == 0
        || length > MAX_SUPER_JOURNAL_NAME
        || length > size - SUPER_JOURNAL_TRAILER) {
      return Optional.empty();
    }
    ByteBuffer name = read(journal, size - SUPER_JOURNAL_TRAILER - length, (int) length);
    byte[] bytes = new byte[name.remaining()];
    name.get(bytes);
    int sum = 0;
    for (byte b : bytes) {
      sum += b;
    }
    if (bytes.length < length || sum != trailer.getInt(4)) {
      return Optional.empty();
    }
    return Optional.of(new String(bytes, StandardCharsets.UTF_8))
        .filter(text -> SUPER_JOURNAL_NAME.matcher(text).matches());
  }

  private static ByteBuffer read(ReadableFile file, long offset, int length) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect(length);
    file.read(buffer, offset);
    return buffer.flip();
  }
}

package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;

/**
 * The first 100 bytes of a database file (fileformat2, section 1.3). Integers are big-endian.
 *
 * <pre>
 *   0  16  "SQLite format 3\0"
 *  16   2  page size; 1 means 65536
 *  18   1  write version: 1 rollback journal, 2 WAL
 *  19   1  read version: likewise
 *  20   1  reserved bytes at the end of each page
 *  21   3  payload fractions, always 64 32 32
 *  24   4  change counter
 *  28   4  size of the database in pages
 *  40   4  schema cookie
 *  56   4  text encoding
 *  72  20  reserved for expansion, zero
 *  92   4  version-valid-for: the change counter when the page count was written
 *  96   4  SQLITE_VERSION_NUMBER of the last writer
 * </pre>
 *
 * @param pageSize in bytes, a power of two from 512 to 65536
 * @param writeVersion 0 to 2
 * @param readVersion 0 to 2; 2 makes a connection use a WAL
 * @param reservedBytes per page, leaving at least 480
 * @param changeCounter incremented by each transaction in rollback-journal modes
 * @param headerPageCount as written at offset 28; see {@link #isPageCountValid}
 * @param schemaCookie incremented by each schema change
 * @param textEncoding 1 UTF-8, 2 UTF-16le, 3 UTF-16be, 0 before the first table
 * @param versionValidFor as written at offset 92
 * @param sqliteVersion of the last writer, for example 3040001
 */
public record DatabaseHeader(
    int pageSize,
    int writeVersion,
    int readVersion,
    int reservedBytes,
    long changeCounter,
    long headerPageCount,
    long schemaCookie,
    int textEncoding,
    long versionValidFor,
    int sqliteVersion) {

  /** Bytes of the header. */
  public static final int SIZE = 100;

  /** Smallest page size in bytes. */
  public static final int MIN_PAGE_SIZE = 512;

  /** Largest page size in bytes. */
  public static final int MAX_PAGE_SIZE = 65536;

  private static final byte[] MAGIC = "SQLite format 3\0".getBytes(StandardCharsets.US_ASCII);
  private static final int MIN_USABLE_SIZE = 480;
  private static final int RESERVED = 72;
  private static final int RESERVED_BYTES = 20;

  /** Whether SQLite allows pages of {@code bytes} bytes. */
  public static boolean isValidPageSize(long bytes) {
    return bytes >= MIN_PAGE_SIZE && bytes <= MAX_PAGE_SIZE && (bytes & (bytes - 1)) == 0;
  }

  /** The page that holds {@link LockBytes#PENDING}; SQLite never stores anything on it. */
  public static long lockPage(int pageSize) {
    return LockBytes.PENDING / pageSize + 1;
  }

  /**
   * Parses the header at the buffer's position, which stays as it is.
   *
   * @throws SqliteFormatException if SQLite would not open this as a database that it may write
   */
  public static DatabaseHeader parse(ByteBuffer buffer) throws SqliteFormatException {
    if (buffer.remaining() < SIZE) {
      throw new SqliteFormatException(
          "not an SQLite database: " + buffer.remaining() + " bytes, the header alone has 100");
    }
    ByteBuffer in = buffer.slice(buffer.position(), SIZE).order(ByteOrder.BIG_ENDIAN);
    byte[] magic = new byte[MAGIC.length];
    in.get(0, magic);
    if (!Arrays.equals(magic, MAGIC)) {
      throw new SqliteFormatException(
          isZero(in)
              ? "not an SQLite database: the header is all zeros"
              : "not an SQLite database: the file does not begin with \"SQLite format 3\"");
    }
    int rawPageSize = Short.toUnsignedInt(in.getShort(16));
    int pageSize = rawPageSize == 1 ? MAX_PAGE_SIZE : rawPageSize;
    if (!isValidPageSize(pageSize)) {
      throw new SqliteFormatException("page size " + rawPageSize + " is not valid");
    }
    int writeVersion = Byte.toUnsignedInt(in.get(18));
    int readVersion = Byte.toUnsignedInt(in.get(19));
    if (writeVersion > 2 || readVersion > 2) {
      throw new SqliteFormatException(
          ("file format write version %d, read version %d: only 1 (rollback journal) and 2 (WAL)"
                  + " are known")
              .formatted(writeVersion, readVersion));
    }
    int reserved = Byte.toUnsignedInt(in.get(20));
    if (pageSize - reserved < MIN_USABLE_SIZE) {
      throw new SqliteFormatException(
          reserved + " reserved bytes leave too little of a page of " + pageSize);
    }
    if (in.get(21) != 64 || in.get(22) != 32 || in.get(23) != 32) {
      throw new SqliteFormatException("the payload fractions are not 64, 32, 32");
    }
    return new DatabaseHeader(
        pageSize,
        writeVersion,
        readVersion,
        reserved,
        Integer.toUnsignedLong(in.getInt(24)),
        Integer.toUnsignedLong(in.getInt(28)),
        Integer.toUnsignedLong(in.getInt(40)),
        in.getInt(56),
        Integer.toUnsignedLong(in.getInt(92)),
        in.getInt(96));
  }

  /**
   * Whether a page 1 is as SQLite writes it, and not encrypted, in whole or (as SQLCipher can leave
   * it) behind the first bytes: {@link #MAGIC}, and zeros in the bytes reserved for expansion.
   *
   * @param page from the buffer's position, which stays as it is
   */
  public static boolean isPlain(ByteBuffer page) {
    if (page.remaining() < SIZE) {
      return false;
    }
    ByteBuffer in = page.slice(page.position(), SIZE);
    return in.slice(0, MAGIC.length).equals(ByteBuffer.wrap(MAGIC))
        && isZero(in.slice(RESERVED, RESERVED_BYTES));
  }

  /** Whether a connection that opens the file uses a WAL. */
  public boolean isWal() {
    return readVersion == 2;
  }

  /**
   * Whether the page count in the header holds (fileformat2, section 1.3.8): SQLite before 3.7.0
   * changed files without updating it, but did increment the change counter.
   */
  public boolean isPageCountValid() {
    return headerPageCount != 0 && versionValidFor == changeCounter;
  }

  /**
   * Size of the database in pages, as SQLite determines it.
   *
   * @param fileSize in bytes; counts where the header does not hold, a part of a page as a page
   */
  public long pageCount(long fileSize) {
    return isPageCountValid() ? headerPageCount : (fileSize + pageSize - 1) / pageSize;
  }

  /**
   * Why a file with this header, to which nobody writes, is not a whole database.
   *
   * @param fileSize in bytes
   * @return the reason for a human, or empty if the file is complete
   */
  public Optional<String> incompleteReason(long fileSize) {
    if (fileSize % pageSize != 0) {
      return Optional.of(
          "size %d is not a multiple of the page size %d".formatted(fileSize, pageSize));
    }
    if (fileSize / pageSize < pageCount(fileSize)) {
      return Optional.of(
          "size %d is %d pages, but the header says %d pages of %d bytes"
              .formatted(fileSize, fileSize / pageSize, pageCount(fileSize), pageSize));
    }
    return Optional.empty();
  }

  /**
   * The same for a file of which only the beginning is known yet.
   *
   * @param beginning the first bytes of the file, from the buffer's position; at least 100 if the
   *     file has as many
   * @param fileSize in bytes; 0 is an empty database, which is complete
   */
  public static Optional<String> incompleteReason(ByteBuffer beginning, long fileSize) {
    if (fileSize == 0) {
      return Optional.empty();
    }
    try {
      return parse(beginning).incompleteReason(fileSize);
    } catch (SqliteFormatException e) {
      return Optional.of(e.getMessage());
    }
  }

  private static boolean isZero(ByteBuffer in) {
    for (int i = 0; i < in.limit(); i++) {
      if (in.get(i) != 0) {
        return false;
      }
    }
    return true;
  }
}

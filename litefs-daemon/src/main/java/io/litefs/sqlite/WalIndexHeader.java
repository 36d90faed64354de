package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;

/**
 * One copy of {@code WalIndexHdr}, which tells a reader where the log ends for it (walformat,
 * section 3.1). Integers are in the machine's byte order, the salts as they lie in the WAL header,
 * big-endian.
 *
 * <pre>
 *   0  iVersion      3007000
 *   4  unused
 *   8  iChange       incremented by each transaction
 *  12  isInit        1 byte, 1
 *  13  bigEndCksum   1 byte, 1 if the WAL's checksums are over big-endian words
 *  14  szPage        2 bytes, page size; 1 means 65536
 *  16  mxFrame       number of the last committed frame
 *  20  nPage         size of the database in pages
 *  24  aFrameCksum   checksum of frame mxFrame, 2 integers
 *  32  aSalt         the WAL header's salts, 2 integers
 *  40  aCksum        checksum of bytes 0 to 39, over words in the machine's byte order
 * </pre>
 *
 * @param change unsigned 32-bit
 * @param checksumOrder of the WAL's checksums
 * @param pageSize in bytes; 0 after the recovery of a log without a transaction
 * @param maxFrame 0 if the log is empty
 * @param pageCount in pages; 0 after the recovery of a log without a transaction: the file's size
 *     counts then
 * @param frameChecksum from which frame {@code maxFrame + 1} continues; without meaning if {@code
 *     maxFrame} is 0
 */
public record WalIndexHeader(
    long change,
    ByteOrder checksumOrder,
    int pageSize,
    long maxFrame,
    long pageCount,
    WalChecksum frameChecksum,
    int salt1,
    int salt2) {

  /** Bytes of one copy. */
  public static final int SIZE = 48;

  private static final int CHECKSUMMED = 40;

  /**
   * The header of an empty log over a database whose file has just been changed behind SQLite's
   * back. A connection that compares it with the header it remembers finds it different, and drops
   * its page cache.
   *
   * @param previous the last valid header, from which {@code iChange} goes on; null if there was
   *     none
   * @param pageSize of the database, in bytes
   * @param pageCount of the database, in pages
   * @param random for the salts: the next log must not begin with those of old frames that may
   *     still be in the file, and no connection may remember an equal header
   */
  public static WalIndexHeader emptyLog(
      WalIndexHeader previous, int pageSize, long pageCount, long random) {
    boolean first = previous == null;
    return new WalIndexHeader(
        first ? 0 : (previous.change + 1) & 0xffffffffL,
        ByteOrder.nativeOrder(),
        pageSize,
        0,
        pageCount,
        WalChecksum.ZERO,
        first ? (int) (random >>> 32) : previous.salt1 + 1,
        (int) random);
  }

  /** The header after one more transaction was appended to the log. */
  public WalIndexHeader committed(
      WalHeader wal, long newMaxFrame, long newPageCount, WalChecksum newFrameChecksum) {
    return new WalIndexHeader(
        (change + 1) & 0xffffffffL,
        wal.checksumOrder(),
        wal.pageSize(),
        newMaxFrame,
        newPageCount,
        newFrameChecksum,
        wal.salt1(),
        wal.salt2());
  }

  /** The same log, but another header: connections drop their page caches. */
  public WalIndexHeader changed() {
    return new WalIndexHeader(
        (change + 1) & 0xffffffffL,
        checksumOrder,
        pageSize,
        maxFrame,
        pageCount,
        frameChecksum,
        salt1,
        salt2);
  }

  /**
   * Decodes one copy at the buffer's position, which stays as it is.
   *
   * @return empty if a connection would not accept it: not initialized, a wrong checksum, or an
   *     unknown version (with which it would refuse to open the database)
   */
  public static Optional<WalIndexHeader> decode(ByteBuffer buffer) {
    if (buffer.remaining() < SIZE) {
      return Optional.empty();
    }
    ByteBuffer in = buffer.slice(buffer.position(), SIZE).order(ByteOrder.nativeOrder());
    WalChecksum stored = new WalChecksum(in.getInt(40), in.getInt(44));
    if (in.get(12) == 0
        || in.getInt(0) != Wal.VERSION
        || !WalChecksum.ZERO.update(ByteOrder.nativeOrder(), in, 0, CHECKSUMMED).equals(stored)) {
      return Optional.empty();
    }
    int rawPageSize = Short.toUnsignedInt(in.getShort(14));
    WalIndexHeader header =
        new WalIndexHeader(
            Integer.toUnsignedLong(in.getInt(8)),
            in.get(13) != 0 ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN,
            rawPageSize == 1 ? DatabaseHeader.MAX_PAGE_SIZE : rawPageSize,
            Integer.toUnsignedLong(in.getInt(16)),
            Integer.toUnsignedLong(in.getInt(20)),
            new WalChecksum(in.getInt(24), in.getInt(28)),
            in.order(ByteOrder.BIG_ENDIAN).getInt(32),
            in.getInt(36));
    return Optional.of(header);
  }

  /** Writes the 48 bytes of one copy and advances the buffer's position. */
  public void encode(ByteBuffer buffer) {
    ByteBuffer out = buffer.slice(buffer.position(), SIZE).order(ByteOrder.BIG_ENDIAN);
    out.putInt(32, salt1).putInt(36, salt2);
    out.order(ByteOrder.nativeOrder())
        .putInt(0, Wal.VERSION)
        .putInt(4, 0)
        .putInt(8, (int) change)
        .put(12, (byte) 1)
        .put(13, (byte) (checksumOrder == ByteOrder.BIG_ENDIAN ? 1 : 0))
        .putShort(14, (short) (pageSize == DatabaseHeader.MAX_PAGE_SIZE ? 1 : pageSize))
        .putInt(16, (int) maxFrame)
        .putInt(20, (int) pageCount)
        .putInt(24, frameChecksum.s1())
        .putInt(28, frameChecksum.s2());
    WalChecksum checksum = WalChecksum.ZERO.update(ByteOrder.nativeOrder(), out, 0, CHECKSUMMED);
    out.putInt(40, checksum.s1()).putInt(44, checksum.s2());
    buffer.position(buffer.position() + SIZE);
  }
}

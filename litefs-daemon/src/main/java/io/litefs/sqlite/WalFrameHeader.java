package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The 24 bytes before each page of a WAL (walformat, section 2.1), six big-endian integers:
 *
 * <pre>
 *   0  page number
 *   4  pages of the database after the commit; 0 in all frames of a transaction but the last
 *   8  salt 1 and salt 2, those of the WAL header
 *  16  checksum of all before: WAL header, earlier frames, bytes 0 to 7 of this header, the page
 * </pre>
 *
 * <p>While a transaction that wrote over frames of its own (its cache had spilled) is unfinished,
 * SQLite writes headers with zeros from byte 8 on. It rewrites the headers from the first such
 * frame on when it commits, after the commit frame's page is written: the commit frame becomes
 * valid with the write of its 24 bytes, not with that of its page.
 *
 * <p>Some versions (3.40 does, 3.54 does not) forget some of them, or all: if such a transaction
 * goes back to a savepoint, the first frame that was written over may lie behind those with which
 * the transaction then goes on. It is committed and published in the wal-index all the same, and a
 * recovery by SQLite loses it. {@link #isUnchained} tells such frames.
 *
 * @param pgno 1 to 4294967294 in a valid frame
 * @param commit in pages, 0 for no commit
 */
public record WalFrameHeader(long pgno, long commit, int salt1, int salt2, WalChecksum checksum) {

  private static final int CHECKSUMMED = 8;

  /**
   * Parses the header at the buffer's position, which stays as it is. Any 24 bytes are a header.
   */
  public static WalFrameHeader parse(ByteBuffer buffer) {
    ByteOrder before = buffer.order();
    buffer.order(ByteOrder.BIG_ENDIAN);
    try {
      int at = buffer.position();
      return new WalFrameHeader(
          Integer.toUnsignedLong(buffer.getInt(at)),
          Integer.toUnsignedLong(buffer.getInt(at + 4)),
          buffer.getInt(at + 8),
          buffer.getInt(at + 12),
          new WalChecksum(buffer.getInt(at + 16), buffer.getInt(at + 20)));
    } finally {
      buffer.order(before);
    }
  }

  /**
   * The frame's place in the chain.
   *
   * @param header of the WAL
   * @param previous checksum of the frame before, or of the WAL header
   * @param frame this frame: header and page from the buffer's position, which stays as it is
   * @return this frame's checksum, or null if the frame is not a valid continuation
   */
  public WalChecksum next(WalHeader header, WalChecksum previous, ByteBuffer frame) {
    if (!isOf(header)) {
      return null;
    }
    WalChecksum actual = checksum(header, previous, frame);
    return actual.equals(checksum) ? actual : null;
  }

  /** Whether the frame has a page number and the salts of {@code header}. */
  public boolean isOf(WalHeader header) {
    return pgno != 0 && salt1 == header.salt1() && salt2 == header.salt2();
  }

  /** Whether the commit mark is set: the frame is the last one of a transaction. */
  public boolean isCommit() {
    return commit != 0;
  }

  /** Whether there are zeros in the place of salts and checksum. */
  public boolean isUnchained() {
    return salt1 == 0 && salt2 == 0 && checksum.equals(WalChecksum.ZERO);
  }

  /** What a valid checksum of the frame would be; the buffer as in {@link #next}. */
  static WalChecksum checksum(WalHeader header, WalChecksum previous, ByteBuffer frame) {
    ByteOrder order = header.checksumOrder();
    int at = frame.position();
    return previous
        .update(order, frame, at, CHECKSUMMED)
        .update(order, frame, at + Wal.FRAME_HEADER_SIZE, header.pageSize());
  }
}

package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Encodes frames as SQLite would append them to a log (walformat, section 2.1), continuing its
 * chain of checksums. What was encoded but did not reach the file is forgotten with {@link #reset}.
 */
public final class WalEncoder {

  private final WalHeader header;
  private WalPosition position;

  /**
   * An encoder for the log that begins with {@code header}.
   *
   * @param from where the log's valid frames end; {@link WalHeader#start} for a new log
   */
  public WalEncoder(WalHeader header, WalPosition from) {
    this.header = header;
    this.position = from;
  }

  /** The header of the log. */
  public WalHeader header() {
    return header;
  }

  /** Where the next frame goes. */
  public WalPosition position() {
    return position;
  }

  /** Continues at {@code from}, which may be before what was already encoded. */
  public void reset(WalPosition from) {
    position = from;
  }

  /**
   * Appends one frame to {@code out}, whose bytes belong at the present {@link #position}'s offset.
   *
   * @param pgno 1 to 4294967294
   * @param commit size of the database in pages in the last frame of a transaction, else 0
   * @param page heap or direct; as many bytes as a page remain, and are consumed
   * @param out with space for a frame; its position advances
   */
  public void frame(long pgno, long commit, ByteBuffer page, ByteBuffer out) {
    if (page.remaining() != header.pageSize()) {
      throw new IllegalArgumentException(
          "a page of " + page.remaining() + " bytes in a WAL of " + header.pageSize());
    }
    if (pgno <= 0 || pgno >= 0xffffffffL || commit < 0 || commit > 0xffffffffL) {
      throw new IllegalArgumentException("page " + pgno + ", commit " + commit);
    }
    int size = Wal.frameSize(header.pageSize());
    ByteBuffer frame = out.slice(out.position(), size).order(ByteOrder.BIG_ENDIAN);
    frame
        .putInt((int) pgno)
        .putInt((int) commit)
        .putInt(header.salt1())
        .putInt(header.salt2())
        .position(Wal.FRAME_HEADER_SIZE);
    frame.put(page).position(0);
    WalChecksum checksum = WalFrameHeader.checksum(header, position.checksum(), frame);
    frame.putInt(16, checksum.s1()).putInt(20, checksum.s2());
    out.position(out.position() + size);
    position = new WalPosition(position.offset() + size, checksum);
  }
}

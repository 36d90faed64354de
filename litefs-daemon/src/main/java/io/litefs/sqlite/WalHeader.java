package io.litefs.sqlite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The first 32 bytes of a WAL (walformat, section 2.1), eight big-endian integers:
 *
 * <pre>
 *   0  magic number 0x377f0682 or 0x377f0683; checksums are over big-endian words if odd
 *   4  format version 3007000
 *   8  page size
 *  12  checkpoint sequence number
 *  16  salt 1
 *  20  salt 2
 *  24  checksum of the bytes before, two integers
 * </pre>
 *
 * @param checksumOrder byte order of the words that checksums are computed over
 * @param pageSize in bytes, a power of two from 512 to 65536
 * @param sequence incremented at each restart of the log; nothing but the checksum depends on it
 * @param salt1 incremented at each restart
 * @param salt2 random at each restart
 */
public record WalHeader(ByteOrder checksumOrder, int pageSize, int sequence, int salt1, int salt2) {

  private static final int MAGIC = 0x377f0682;
  private static final int CHECKSUMMED = 24;

  public WalHeader {
    if (!DatabaseHeader.isValidPageSize(pageSize)) {
      throw new IllegalArgumentException("page size " + pageSize + " is not valid");
    }
  }

  /** The header of a new log as SQLite on this machine would write it. */
  public static WalHeader create(int pageSize, int salt1, int salt2) {
    return new WalHeader(ByteOrder.nativeOrder(), pageSize, 0, salt1, salt2);
  }

  /**
   * The header with which a restarted log begins; frames behind it under the present salts are
   * void.
   */
  public WalHeader restarted(int newSalt2) {
    return new WalHeader(ByteOrder.nativeOrder(), pageSize, sequence + 1, salt1 + 1, newSalt2);
  }

  /**
   * Parses the header at the buffer's position, which stays as it is.
   *
   * @throws SqliteFormatException if it is not a valid header. SQLite takes such a log for an empty
   *     one, except for an unknown version under a good checksum, with which it refuses to open the
   *     database.
   */
  public static WalHeader parse(ByteBuffer buffer) throws SqliteFormatException {
    if (buffer.remaining() < Wal.HEADER_SIZE) {
      throw new SqliteFormatException("WAL header of " + buffer.remaining() + " bytes, not 32");
    }
    ByteBuffer in = buffer.slice(buffer.position(), Wal.HEADER_SIZE).order(ByteOrder.BIG_ENDIAN);
    int magic = in.getInt(0);
    if ((magic & ~1) != MAGIC) {
      throw new SqliteFormatException("WAL header begins with %08x".formatted(magic));
    }
    int pageSize = in.getInt(8);
    if (!DatabaseHeader.isValidPageSize(Integer.toUnsignedLong(pageSize))) {
      throw new SqliteFormatException(
          "WAL page size " + Integer.toUnsignedString(pageSize) + " is not valid");
    }
    ByteOrder order = (magic & 1) != 0 ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
    WalChecksum stored = new WalChecksum(in.getInt(24), in.getInt(28));
    if (!WalChecksum.ZERO.update(order, in, 0, CHECKSUMMED).equals(stored)) {
      throw new SqliteFormatException("WAL header has a wrong checksum");
    }
    int version = in.getInt(4);
    if (version != Wal.VERSION) {
      throw new SqliteFormatException("WAL format version " + version + " is not known");
    }
    return new WalHeader(order, pageSize, in.getInt(12), in.getInt(16), in.getInt(20));
  }

  /** Writes the 32 bytes and advances the buffer's position. */
  public void encode(ByteBuffer buffer) {
    ByteBuffer out = buffer.slice(buffer.position(), Wal.HEADER_SIZE).order(ByteOrder.BIG_ENDIAN);
    WalChecksum checksum = encodeWithoutChecksum(out);
    out.putInt(24, checksum.s1()).putInt(28, checksum.s2());
    buffer.position(buffer.position() + Wal.HEADER_SIZE);
  }

  /** The header's checksum, from which that of the first frame continues. */
  public WalChecksum checksum() {
    return encodeWithoutChecksum(ByteBuffer.allocate(CHECKSUMMED));
  }

  /** The position of the first frame. */
  public WalPosition start() {
    return new WalPosition(Wal.HEADER_SIZE, checksum());
  }

  private WalChecksum encodeWithoutChecksum(ByteBuffer out) {
    out.putInt(0, checksumOrder == ByteOrder.BIG_ENDIAN ? MAGIC | 1 : MAGIC)
        .putInt(4, Wal.VERSION)
        .putInt(8, pageSize)
        .putInt(12, sequence)
        .putInt(16, salt1)
        .putInt(20, salt2);
    return WalChecksum.ZERO.update(checksumOrder, out, 0, CHECKSUMMED);
  }
}

package io.litefs.ltx;

import java.nio.ByteBuffer;

/**
 * The header of an LTX file of version 1: the first 100 bytes, big-endian, never compressed.
 *
 * <pre>
 *   0               4               8               12              16
 *   +---------------+---------------+---------------+---------------+
 *   | magic "LTX1"  | flags         | page size     | commit        |   0
 *   +---------------+---------------+---------------+---------------+
 *   | min TXID                      | max TXID                      |  16
 *   +-------------------------------+-------------------------------+
 *   | timestamp, ms since the epoch | pre-apply database checksum   |  32
 *   +-------------------------------+-------------------------------+
 *   | offset in the WAL             | size in the WAL               |  48
 *   +---------------+---------------+-------------------------------+
 *   | WAL salt 1    | WAL salt 2    | node id                       |  64
 *   +---------------+---------------+-------------------------------+
 *   | zero, to byte 100                                             |  80
 *   +---------------------------------------------------------------+
 * </pre>
 *
 * <p>Flags: bit 0 says that the page block is one LZ4 frame; any other bit is refused. A file whose
 * min TXID is 1 is a <em>snapshot</em>: it holds every page, whatever was there before. All other
 * files hold the pages that changed.
 *
 * <p>The components are checked when the record is made; what is out of range is refused with an
 * {@link IllegalArgumentException}.
 *
 * @param compressed whether the page block is one LZ4 frame
 * @param pageSize in bytes, see {@link PageSize}
 * @param commit size of the database in pages after the transaction, 0 to 2^32 - 1; 0 if it was
 *     dropped
 * @param minTxid first transaction in the file, at least 1
 * @param maxTxid last transaction in the file, not below minTxid
 * @param timestampMillis when the transaction was committed, in ms since the epoch
 * @param preApply checksum of the database before it; {@link Checksum#ZERO} for a snapshot and only
 *     then
 * @param walOffset where the transaction was in the WAL, in bytes; 0 in rollback-journal mode
 * @param walSize how many bytes it took in the WAL; 0 if and only if walOffset is 0
 * @param walSalt1 first salt of the WAL; 0 for a journal or a compacted file
 * @param walSalt2 second salt of the WAL
 * @param nodeId the node that made the file, any 64 bits
 */
public record LtxHeader(
    boolean compressed,
    int pageSize,
    long commit,
    Txid minTxid,
    Txid maxTxid,
    long timestampMillis,
    Checksum preApply,
    long walOffset,
    long walSize,
    int walSalt1,
    int walSalt2,
    long nodeId)
    implements TransactionHeader {

  /** Size in bytes. */
  public static final int SIZE = 100;

  private static final int FLAG_COMPRESSED = 1;

  /** Checks all components, with an {@link IllegalArgumentException} for what is out of range. */
  public LtxHeader {
    HeaderBytes.checkDatabase(pageSize, commit);
    HeaderBytes.checkRange(minTxid, maxTxid);
    HeaderBytes.checkPreApply(minTxid, preApply);
    HeaderBytes.checkWal(walOffset, walSize, walSalt1, walSalt2);
    if (walOffset != 0 && walSize == 0) {
      throw new HeaderFieldException(
          "WAL size",
          HeaderBytes.WAL_SIZE,
          walSize + " with WAL offset " + walOffset + "; both are 0 or neither is");
    }
  }

  /** The same header for a page block with or without compression. */
  public LtxHeader withCompressed(boolean value) {
    return new LtxHeader(
        value,
        pageSize,
        commit,
        minTxid,
        maxTxid,
        timestampMillis,
        preApply,
        walOffset,
        walSize,
        walSalt1,
        walSalt2,
        nodeId);
  }

  /**
   * Reads 100 bytes from the buffer's position, whatever its byte order, and moves past them.
   *
   * @param file name for messages
   * @throws LtxException if fewer bytes remain or a field is out of range
   */
  public static LtxHeader decode(ByteBuffer buffer, String file) throws LtxException {
    ByteBuffer b = HeaderBytes.take(buffer, file);
    int flags = HeaderBytes.flags(b, FLAG_COMPRESSED, file);
    try {
      return new LtxHeader(
          (flags & FLAG_COMPRESSED) != 0,
          b.getInt(HeaderBytes.PAGE_SIZE),
          HeaderBytes.commit(b),
          HeaderBytes.minTxid(b),
          HeaderBytes.maxTxid(b),
          b.getLong(HeaderBytes.TIMESTAMP),
          new Checksum(b.getLong(HeaderBytes.PRE_APPLY)),
          b.getLong(HeaderBytes.WAL_OFFSET),
          b.getLong(HeaderBytes.WAL_SIZE),
          b.getInt(HeaderBytes.WAL_SALT_1),
          b.getInt(HeaderBytes.WAL_SALT_2),
          b.getLong(HeaderBytes.NODE_ID));
    } catch (HeaderFieldException e) {
      throw e.in(file);
    }
  }

  /** Writes 100 bytes at the buffer's position, whatever its byte order, and moves past them. */
  public void encode(ByteBuffer buffer) {
    HeaderBytes.encode(buffer, compressed ? FLAG_COMPRESSED : 0, this);
  }
}

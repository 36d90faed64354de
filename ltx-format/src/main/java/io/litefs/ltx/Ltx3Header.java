package io.litefs.ltx;

import java.nio.ByteBuffer;
import java.util.Objects;

/**
 * The header of an LTX file of version 3: the bytes of {@link LtxHeader} with other flags. Bit 0 is
 * not allowed; bit 1 says that there are no database checksums: pre-apply and post-apply are 0.
 *
 * <p>Litestream leaves the size in the WAL 0 where it has an offset, so that is allowed here. All
 * else is checked as in version 1, with an {@link IllegalArgumentException}.
 *
 * @param hasDatabaseChecksums whether preApply and the trailer's postApply mean something
 * @param pageSize in bytes, see {@link PageSize}
 * @param commit size of the database in pages after the transaction, 0 to 2^32 - 1
 * @param minTxid first transaction in the file, at least 1
 * @param maxTxid last transaction in the file, not below minTxid
 * @param timestampMillis in ms since the epoch
 * @param preApply checksum of the database before it; 0 for a snapshot or without checksums
 * @param walOffset in bytes; 0 in rollback-journal mode
 * @param walSize in bytes; 0 if walOffset is 0
 * @param walSalt1 first salt of the WAL; 0 if walOffset is 0
 * @param walSalt2 second salt of the WAL; 0 if walOffset is 0
 * @param nodeId the node that made the file, any 64 bits
 */
public record Ltx3Header(
    boolean hasDatabaseChecksums,
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

  private static final int FLAG_NO_CHECKSUMS = 2;

  /** Checks all components, with an {@link IllegalArgumentException} for what is out of range. */
  public Ltx3Header {
    HeaderBytes.checkDatabase(pageSize, commit);
    HeaderBytes.checkRange(minTxid, maxTxid);
    Objects.requireNonNull(preApply, "preApply");
    if (hasDatabaseChecksums) {
      HeaderBytes.checkPreApply(minTxid, preApply);
    } else if (preApply.value() != 0) {
      throw new HeaderFieldException(
          "pre-apply checksum",
          HeaderBytes.PRE_APPLY,
          preApply + ", but the flags say that there is none");
    }
    HeaderBytes.checkWal(walOffset, walSize, walSalt1, walSalt2);
  }

  /** The same transactions in a file of version 3. */
  public static Ltx3Header of(LtxHeader header) {
    return new Ltx3Header(
        true,
        header.pageSize(),
        header.commit(),
        header.minTxid(),
        header.maxTxid(),
        header.timestampMillis(),
        header.preApply(),
        header.walOffset(),
        header.walSize(),
        header.walSalt1(),
        header.walSalt2(),
        header.nodeId());
  }

  /**
   * Reads 100 bytes from the buffer's position, whatever its byte order, and moves past them.
   *
   * @param file name for messages
   * @throws LtxException if fewer bytes remain or a field is out of range
   */
  public static Ltx3Header decode(ByteBuffer buffer, String file) throws LtxException {
    ByteBuffer b = HeaderBytes.take(buffer, file);
    int flags = HeaderBytes.flags(b, FLAG_NO_CHECKSUMS, file);
    try {
      return new Ltx3Header(
          (flags & FLAG_NO_CHECKSUMS) == 0,
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
    HeaderBytes.encode(buffer, hasDatabaseChecksums ? 0 : FLAG_NO_CHECKSUMS, this);
  }
}

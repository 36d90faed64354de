package io.litefs.ltx;

import java.nio.ByteBuffer;
import java.util.Objects;

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
    long nodeId) {

  /** Size in bytes. */
  public static final int SIZE = 100;

  /** The largest page number and commit: both are unsigned 32-bit numbers. */
  static final long MAX_PGNO = 0xFFFFFFFFL;

  static final int MAGIC = 0x4C545831; // "LTX1"
  static final int FLAG_COMPRESSED = 1;

  static final int MAGIC_OFFSET = 0;
  static final int FLAGS_OFFSET = 4;
  static final int PAGE_SIZE_OFFSET = 8;
  static final int COMMIT_OFFSET = 12;
  static final int MIN_TXID_OFFSET = 16;
  static final int MAX_TXID_OFFSET = 24;
  static final int TIMESTAMP_OFFSET = 32;
  static final int PRE_APPLY_OFFSET = 40;
  static final int WAL_OFFSET_OFFSET = 48;
  static final int WAL_SIZE_OFFSET = 56;
  static final int WAL_SALT_1_OFFSET = 64;
  static final int WAL_SALT_2_OFFSET = 68;
  static final int NODE_ID_OFFSET = 72;
  static final int RESERVED_OFFSET = 80;

  /** Checks all components, with an {@link IllegalArgumentException} for what is out of range. */
  public LtxHeader {
    checkDatabase(pageSize, commit);
    checkRange(minTxid, maxTxid);
    Objects.requireNonNull(preApply, "preApply");
    if ((preApply.value() == 0) != (minTxid.value() == 1)) {
      throw new HeaderFieldException(
          "pre-apply checksum",
          PRE_APPLY_OFFSET,
          preApply + " with min TXID " + minTxid + "; it is 0 if and only if min TXID is 1");
    }
    if (preApply.value() > 0) {
      throw new HeaderFieldException(
          "pre-apply checksum", PRE_APPLY_OFFSET, preApply + " has bit 63 clear");
    }
    checkWal(walOffset, walSize);
    if ((walOffset == 0) != (walSize == 0)) {
      throw new HeaderFieldException(
          "WAL size",
          WAL_SIZE_OFFSET,
          walSize + " with WAL offset " + walOffset + "; both are 0 or neither is");
    }
    if ((walSalt1 != 0 || walSalt2 != 0) && walOffset == 0) {
      throw new HeaderFieldException(
          "WAL salts", WAL_SALT_1_OFFSET, "not zero, but WAL offset and size are");
    }
  }

  /** Whether the file holds the whole database. */
  public boolean isSnapshot() {
    return minTxid.value() == 1;
  }

  /** Number of the page that is never in the file. */
  long lockPage() {
    return PageSize.lockPage(pageSize);
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
    ByteBuffer b = fields(buffer, file);
    int flags = b.getInt(FLAGS_OFFSET);
    if ((flags & ~FLAG_COMPRESSED) != 0) {
      throw unknownFlags(flags, file);
    }
    try {
      return new LtxHeader(
          (flags & FLAG_COMPRESSED) != 0,
          b.getInt(PAGE_SIZE_OFFSET),
          Integer.toUnsignedLong(b.getInt(COMMIT_OFFSET)),
          txid(b, "min TXID", MIN_TXID_OFFSET),
          txid(b, "max TXID", MAX_TXID_OFFSET),
          b.getLong(TIMESTAMP_OFFSET),
          new Checksum(b.getLong(PRE_APPLY_OFFSET)),
          b.getLong(WAL_OFFSET_OFFSET),
          b.getLong(WAL_SIZE_OFFSET),
          b.getInt(WAL_SALT_1_OFFSET),
          b.getInt(WAL_SALT_2_OFFSET),
          b.getLong(NODE_ID_OFFSET));
    } catch (HeaderFieldException e) {
      throw e.in(file);
    }
  }

  /** Writes 100 bytes at the buffer's position, whatever its byte order, and moves past them. */
  public void encode(ByteBuffer buffer) {
    ByteBuffer b = buffer.slice(buffer.position(), SIZE);
    b.putInt(MAGIC);
    b.putInt(compressed ? FLAG_COMPRESSED : 0);
    b.putInt(pageSize);
    b.putInt((int) commit);
    b.putLong(minTxid.value());
    b.putLong(maxTxid.value());
    b.putLong(timestampMillis);
    b.putLong(preApply.value());
    b.putLong(walOffset);
    b.putLong(walSize);
    b.putInt(walSalt1);
    b.putInt(walSalt2);
    b.putLong(nodeId);
    b.putLong(0).putLong(0).putInt(0);
    buffer.position(buffer.position() + SIZE);
  }

  // What both versions have in common.

  /** The header's bytes, big-endian, with magic and reserved bytes checked; moves the buffer. */
  static ByteBuffer fields(ByteBuffer buffer, String file) throws LtxException {
    if (buffer.remaining() < SIZE) {
      throw new LtxException(
          file, "header", buffer.remaining(), "the file ends inside the header of 100 bytes");
    }
    ByteBuffer b = buffer.slice(buffer.position(), SIZE); // a slice is big-endian
    buffer.position(buffer.position() + SIZE);
    if (b.getInt(MAGIC_OFFSET) != MAGIC) {
      throw new LtxException(
          file,
          "magic",
          MAGIC_OFFSET,
          String.format("%08x instead of \"LTX1\": not an LTX file", b.getInt(MAGIC_OFFSET)));
    }
    for (int i = RESERVED_OFFSET; i < SIZE; i++) {
      if (b.get(i) != 0) {
        throw new LtxException(file, "reserved bytes", i, "not zero");
      }
    }
    return b;
  }

  static LtxException unknownFlags(int flags, String file) {
    return new LtxException(
        file, "flags", FLAGS_OFFSET, String.format("%08x has flags that are not known", flags));
  }

  static Txid txid(ByteBuffer b, String field, int offset) {
    long value = b.getLong(offset);
    if (value < 0) {
      throw new HeaderFieldException(field, offset, Hex.format(value) + " is out of range");
    }
    return new Txid(value);
  }

  static void checkDatabase(int pageSize, long commit) {
    if (!PageSize.isValid(pageSize)) {
      throw new HeaderFieldException(
          "page size",
          PAGE_SIZE_OFFSET,
          Integer.toUnsignedString(pageSize) + " is not a power of two from 512 to 65536");
    }
    if (commit < 0 || commit > MAX_PGNO) {
      throw new HeaderFieldException("commit", COMMIT_OFFSET, commit + " is not 0 to 2^32 - 1");
    }
  }

  static void checkRange(Txid min, Txid max) {
    if (min.value() < 1) {
      throw new HeaderFieldException("min TXID", MIN_TXID_OFFSET, min + " is not at least 1");
    }
    if (max.compareTo(min) < 0) {
      throw new HeaderFieldException(
          "max TXID", MAX_TXID_OFFSET, max + " is below min TXID " + min);
    }
  }

  static void checkWal(long offset, long size) {
    if (offset < 0) {
      throw new HeaderFieldException("WAL offset", WAL_OFFSET_OFFSET, offset + " is negative");
    }
    if (size < 0 || offset + size < 0) {
      throw new HeaderFieldException(
          "WAL size", WAL_SIZE_OFFSET, size + " at offset " + offset + " is out of range");
    }
  }
}

package io.litefs.ltx;

import java.nio.ByteBuffer;
import java.util.Objects;

/** What the headers of versions 1 and 3 have in common: the layout, see {@link LtxHeader}. */
final class HeaderBytes {

  static final int MAGIC = 0;
  static final int FLAGS = 4;
  static final int PAGE_SIZE = 8;
  static final int COMMIT = 12;
  static final int MIN_TXID = 16;
  static final int MAX_TXID = 24;
  static final int TIMESTAMP = 32;
  static final int PRE_APPLY = 40;
  static final int WAL_OFFSET = 48;
  static final int WAL_SIZE = 56;
  static final int WAL_SALT_1 = 64;
  static final int WAL_SALT_2 = 68;
  static final int NODE_ID = 72;
  static final int RESERVED = 80;

  private static final int LTX1 = 0x4C545831; // "LTX1", in both versions

  /** The largest page number and commit: both are unsigned 32-bit numbers. */
  private static final long MAX_COMMIT = 0xFFFFFFFFL;

  private HeaderBytes() {}

  /**
   * Takes a header from the buffer's position, big-endian, with magic and reserved bytes checked.
   */
  static ByteBuffer take(ByteBuffer buffer, String file) throws LtxException {
    if (buffer.remaining() < LtxHeader.SIZE) {
      throw new LtxException(file, "header", 0, "the file ends inside these 100 bytes");
    }
    ByteBuffer b = buffer.slice(buffer.position(), LtxHeader.SIZE); // a slice is big-endian
    buffer.position(buffer.position() + LtxHeader.SIZE);
    if (b.getInt(MAGIC) != LTX1) {
      throw new LtxException(
          file,
          "magic",
          MAGIC,
          String.format("%08x instead of \"LTX1\": not an LTX file", b.getInt(MAGIC)));
    }
    for (int i = RESERVED; i < LtxHeader.SIZE; i++) {
      if (b.get(i) != 0) {
        throw new LtxException(file, "reserved bytes", i, "not zero");
      }
    }
    return b;
  }

  static void encode(ByteBuffer buffer, int flags, TransactionHeader header) {
    ByteBuffer b = buffer.slice(buffer.position(), LtxHeader.SIZE);
    b.putInt(LTX1);
    b.putInt(flags);
    b.putInt(header.pageSize());
    b.putInt((int) header.commit());
    b.putLong(header.minTxid().value());
    b.putLong(header.maxTxid().value());
    b.putLong(header.timestampMillis());
    b.putLong(header.preApply().value());
    b.putLong(header.walOffset());
    b.putLong(header.walSize());
    b.putInt(header.walSalt1());
    b.putInt(header.walSalt2());
    b.putLong(header.nodeId());
    b.putLong(0).putLong(0).putInt(0);
    buffer.position(buffer.position() + LtxHeader.SIZE);
  }

  static int flags(ByteBuffer b, int known, String file) throws LtxException {
    int flags = b.getInt(FLAGS);
    if ((flags & ~known) != 0) {
      throw new LtxException(
          file, "flags", FLAGS, String.format("%08x has flags that are not known", flags));
    }
    return flags;
  }

  static long commit(ByteBuffer b) {
    return Integer.toUnsignedLong(b.getInt(COMMIT));
  }

  static Txid minTxid(ByteBuffer b) {
    return txid(b, "min TXID", MIN_TXID);
  }

  static Txid maxTxid(ByteBuffer b) {
    return txid(b, "max TXID", MAX_TXID);
  }

  private static Txid txid(ByteBuffer b, String field, int offset) {
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
          PAGE_SIZE,
          Integer.toUnsignedString(pageSize) + " is not a power of two from 512 to 65536");
    }
    if (commit < 0 || commit > MAX_COMMIT) {
      throw new HeaderFieldException("commit", COMMIT, commit + " is not 0 to 2^32 - 1");
    }
  }

  static void checkRange(Txid min, Txid max) {
    if (min.value() < 1) {
      throw new HeaderFieldException("min TXID", MIN_TXID, min + " is not at least 1");
    }
    if (max.compareTo(min) < 0) {
      throw new HeaderFieldException("max TXID", MAX_TXID, max + " is below min TXID " + min);
    }
  }

  static void checkPreApply(Txid min, Checksum preApply) {
    Objects.requireNonNull(preApply, "preApply");
    if ((preApply.value() == 0) != (min.value() == 1)) {
      throw new HeaderFieldException(
          "pre-apply checksum",
          PRE_APPLY,
          preApply + " with min TXID " + min + "; it is 0 if and only if min TXID is 1");
    }
    if (preApply.value() > 0) {
      throw new HeaderFieldException(
          "pre-apply checksum", PRE_APPLY, preApply + " has bit 63 clear");
    }
  }

  static void checkWal(long offset, long size, int salt1, int salt2) {
    if (offset < 0) {
      throw new HeaderFieldException("WAL offset", WAL_OFFSET, offset + " is negative");
    }
    if (size < 0 || offset + size < 0) {
      throw new HeaderFieldException(
          "WAL size", WAL_SIZE, size + " at offset " + offset + " is out of range");
    }
    if (offset == 0 && size != 0) {
      throw new HeaderFieldException("WAL size", WAL_SIZE, size + ", but WAL offset is 0");
    }
    if (offset == 0 && (salt1 != 0 || salt2 != 0)) {
      throw new HeaderFieldException("WAL salts", WAL_SALT_1, "not 0, but WAL offset is");
    }
  }
}

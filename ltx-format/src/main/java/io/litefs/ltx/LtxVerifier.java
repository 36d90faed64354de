package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Reads whole files for the sake of their checks. */
public final class LtxVerifier {

  private LtxVerifier() {}

  /**
   * What a valid file holds.
   *
   * @param pages how many pages
   */
  public record Summary(String file, TransactionHeader header, LtxTrailer trailer, long pages) {

    /** The database's position after the file. */
    public Pos position() {
      return new Pos(header.maxTxid(), trailer.postApply());
    }
  }

  /**
   * Reads a file from its first page to its end. The reader is not closed.
   *
   * @throws LtxException if the file is not valid
   * @throws IOException what the channel threw
   */
  public static Summary verify(LtxReader reader) throws IOException {
    ByteBuffer page = ByteBuffer.allocate(reader.header().pageSize());
    long pages = 0;
    while (reader.next(page) != 0) {
      pages++;
    }
    return new Summary(reader.file(), reader.header(), reader.trailer(), pages);
  }

  /**
   * Checks that a file can be applied right after another. A snapshot can be applied after any.
   *
   * @throws LtxException if TXIDs leave a gap or overlap, or the checksums show that the files come
   *     from different histories
   */
  public static void checkFollows(Summary before, Summary next) throws LtxException {
    if (next.header().isSnapshot()) {
      return;
    }
    checkTxids(before.header(), next.header(), next.file());
    checkChecksums(before.header(), before.trailer(), next.header(), next.file());
  }

  static void checkTxids(TransactionHeader before, TransactionHeader next, String file)
      throws LtxException {
    if (next.minTxid().value() - 1 != before.maxTxid().value()) {
      throw new LtxException(
          file,
          "min TXID",
          HeaderBytes.MIN_TXID,
          next.minTxid() + " does not follow " + before.maxTxid());
    }
  }

  static void checkChecksums(
      TransactionHeader before, LtxTrailer beforeTrailer, TransactionHeader next, String file)
      throws LtxException {
    if (before.hasDatabaseChecksums()
        && next.hasDatabaseChecksums()
        && !next.preApply().equals(beforeTrailer.postApply())) {
      throw new LtxException(
          file,
          "pre-apply checksum",
          HeaderBytes.PRE_APPLY,
          next.preApply() + ", but the file before leaves " + beforeTrailer.postApply());
    }
  }
}

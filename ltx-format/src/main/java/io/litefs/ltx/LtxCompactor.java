package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;

/**
 * Makes one file of several that follow each other. It holds the newest version of each page that
 * is not above the last commit; applying it has the same result as applying them all.
 *
 * <p>A page that a file in between cut off and a later one brought back without writing it is
 * empty, as it is in a file that shrinks and grows; it is written as zeros, so that what was there
 * before does not shine through.
 *
 * <p>The result has the min TXID and pre-apply checksum of the first file, max TXID, commit,
 * timestamp and post-apply checksum of the last, and neither WAL offset, size, salts nor node id.
 *
 * <p>All inputs are read at once, which takes about 200 KiB each. Compaction is associative: what
 * is too much for one step can be done in several.
 */
public final class LtxCompactor {

  /** The form of the result. */
  public enum Format {
    /** Version 1 without compression. */
    V1,
    /** Version 1 with the page block as one LZ4 frame. */
    V1_LZ4,
    /** Version 3; without database checksums if one of the inputs has none. */
    V3
  }

  private final TransactionHeader last;
  private final long lockPage;
  private final LtxWriter writer;

  /** What is above this page and in no input is empty; what is below may be in the database. */
  private final long cut;

  private final ByteBuffer zeros;
  private long written;
  private long checksums;

  private LtxCompactor(TransactionHeader last, long cut, LtxWriter writer) {
    this.last = last;
    this.lockPage = PageSize.lockPage(last.pageSize());
    this.cut = cut;
    this.writer = writer;
    this.zeros = ByteBuffer.allocate(last.pageSize());
  }

  /**
   * Writes the result to the channel, which is not closed; nor are the readers.
   *
   * @param readers the oldest first, none of them read from yet; all are read to their ends
   * @throws LtxException if a file is not valid, does not follow the one before, or has another
   *     page size
   * @throws IllegalArgumentException if there are no readers, or version 1 is asked for and a file
   *     has no database checksums
   * @throws IOException what a channel threw
   */
  public static LtxTrailer compact(
      List<? extends LtxReader> readers, WritableByteChannel out, Format format)
      throws IOException {
    if (readers.isEmpty()) {
      throw new IllegalArgumentException("nothing to compact");
    }
    for (int i = 1; i < readers.size(); i++) {
      TransactionHeader before = readers.get(i - 1).header();
      TransactionHeader header = readers.get(i).header();
      LtxVerifier.checkTxids(before, header, readers.get(i).file());
      if (header.pageSize() != before.pageSize()) {
        throw new LtxException(
            readers.get(i).file(),
            "page size",
            HeaderBytes.PAGE_SIZE,
            header.pageSize() + ", but the file before has " + before.pageSize());
      }
    }
    TransactionHeader first = readers.get(0).header();
    TransactionHeader last = readers.get(readers.size() - 1).header();
    boolean checked = readers.stream().allMatch(r -> r.header().hasDatabaseChecksums());
    LtxWriter writer = writer(first, last, checked, out, format);

    // The smallest database that came after each input: it cut off what is above.
    long smallest = last.commit();
    PriorityQueue<Input> queue =
        new PriorityQueue<>(
            Comparator.comparingLong((Input i) -> i.pgno).thenComparingInt(i -> -i.index));
    for (int i = readers.size() - 1; i >= 0; i--) {
      Input input = new Input(readers.get(i), i, smallest);
      if (input.next()) {
        queue.add(input);
      }
      smallest = Math.min(smallest, readers.get(i).header().commit());
    }
    long cut = first.isSnapshot() ? 0 : smallest;
    LtxCompactor compactor = new LtxCompactor(last, cut, writer);
    compactor.merge(queue);
    return compactor.finish(readers, checked);
  }

  private static LtxWriter writer(
      TransactionHeader first,
      TransactionHeader last,
      boolean checked,
      WritableByteChannel out,
      Format format) {
    if (format == Format.V3) {
      return new Ltx3Encoder(
          out,
          new Ltx3Header(
              checked,
              last.pageSize(),
              last.commit(),
              first.minTxid(),
              last.maxTxid(),
              last.timestampMillis(),
              checked ? first.preApply() : Checksum.ZERO,
              0,
              0,
              0,
              0,
              0));
    }
    if (!checked) {
      throw new IllegalArgumentException("version 1 needs database checksums");
    }
    return new LtxEncoder(
        out,
        new LtxHeader(
            format == Format.V1_LZ4,
            last.pageSize(),
            last.commit(),
            first.minTxid(),
            last.maxTxid(),
            last.timestampMillis(),
            first.preApply(),
            0,
            0,
            0,
            0,
            0));
  }

  private void merge(PriorityQueue<Input> queue) throws IOException {
    while (!queue.isEmpty()) {
      // Of several versions of a page the newest comes first and the others are dropped.
      Input input = queue.poll();
      if (input.pgno > written && input.pgno <= input.limit) {
        fill(input.pgno - 1);
        write(input.pgno, input.page);
      }
      if (input.next()) {
        queue.add(input);
      }
    }
    fill(last.commit());
  }

  /** Writes the empty pages up to this one. */
  private void fill(long end) throws IOException {
    for (long pgno = Math.max(written, cut) + 1; pgno <= end; pgno++) {
      if (pgno != lockPage) {
        write(pgno, zeros.clear());
      }
    }
  }

  private void write(long pgno, ByteBuffer page) throws IOException {
    checksums ^= writer.page(pgno, page);
    written = pgno;
  }

  private LtxTrailer finish(List<? extends LtxReader> readers, boolean checked) throws IOException {
    for (int i = 1; i < readers.size(); i++) {
      LtxReader before = readers.get(i - 1);
      LtxReader reader = readers.get(i);
      LtxVerifier.checkChecksums(before.header(), before.trailer(), reader.header(), reader.file());
    }
    LtxReader newest = readers.get(readers.size() - 1);
    Checksum postApply = checked ? newest.trailer().postApply() : Checksum.ZERO;
    long expected = Checksum.FLAG | checksums;
    if (checked && readers.get(0).header().isSnapshot() && postApply.value() != expected) {
      throw new LtxException(
          newest.file(),
          "post-apply checksum",
          newest.bytesRead() - LtxTrailer.SIZE,
          postApply + ", but the pages up to here have " + Hex.format(expected));
    }
    return writer.finish(postApply);
  }

  /** A file and the page it has come to. */
  private static final class Input {

    private final LtxReader reader;
    private final int index;
    private final long limit;
    private final ByteBuffer page;
    private long pgno;

    Input(LtxReader reader, int index, long limit) {
      this.reader = reader;
      this.index = index;
      this.limit = limit;
      this.page = ByteBuffer.allocate(reader.header().pageSize());
    }

    boolean next() throws IOException {
      pgno = reader.next(page);
      return pgno != 0;
    }
  }
}

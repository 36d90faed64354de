package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/**
 * Writes an LTX file of version 1.
 *
 * <pre>
 *   +-----------------------+
 *   | header, 100 bytes     |  see LtxHeader
 *   +-----------------------+ --
 *   | page number, u32      |   |
 *   | page                  |   |  the page block: page numbers ascend, none is above the
 *   +-----------------------+   |  header's commit, none is the lock page. With flag bit 0
 *   | ...                   |   |  it is one LZ4 frame, terminator included
 *   +-----------------------+   |
 *   | 00000000 (terminator) |   |
 *   +-----------------------+ --
 *   | trailer, 16 bytes     |  see LtxTrailer
 *   +-----------------------+
 * </pre>
 *
 * <p>All numbers are big-endian. The file checksum in the trailer is {@code 2^63 | CRC64} of
 * header, page block (not compressed) and post-apply checksum.
 *
 * <p>Making one and writing a page costs a few microseconds: buffers are taken from a small shared
 * pool and go back in {@link #finish}. An encoder whose channel failed is simply dropped. Not for
 * use by several threads at once. The channel must be in blocking mode and is never closed.
 */
public final class LtxEncoder {

  private final LtxHeader header;
  private final long lockPage;
  private final LtxOutput out;
  private final PageShift shift;

  private LtxBuffers buffers;
  private PageSink sink;
  private long state;
  private long lastPgno;
  private long pageChecksums;

  /**
   * Starts a file. Nothing reaches the channel before there are 64 KiB, or {@link #finish}.
   *
   * @param header decides whether the page block is compressed
   */
  public LtxEncoder(WritableByteChannel out, LtxHeader header) {
    this.header = header;
    this.lockPage = header.lockPage();
    this.shift = PageShift.of(header.pageSize());
    this.buffers = LtxBuffers.take();
    this.out = new LtxOutput(out, buffers.channel);
    header.encode(buffers.channel);
    this.state = Crc64.INITIAL;
    for (int i = 0; i < LtxHeader.SIZE; i += Integer.BYTES) {
      state = Crc64.updateInt(state, buffers.channel.getInt(i));
    }
    this.sink =
        header.compressed() ? new Lz4FrameSink(this.out, buffers) : new PlainSink(this.out);
  }

  /**
   * Adds a page.
   *
   * @param pgno above that of the page before, not above the header's commit, not the lock page;
   *     in a snapshot the next one
   * @param page exactly one page from position to limit, heap or direct; moved to its limit
   * @return the page's checksum, which comes for free here: {@link PageChecksum#of}
   * @throws IllegalArgumentException if the page may not come now or has another size
   * @throws IOException what the channel threw
   */
  public long page(long pgno, ByteBuffer page) throws IOException {
    checkOpen();
    checkPgno(pgno);
    if (page.remaining() != header.pageSize()) {
      throw new IllegalArgumentException(
          "page " + pgno + " has " + page.remaining() + " bytes, not " + header.pageSize());
    }
    long crc = PageChecksum.state(pgno, page);
    long checksum = PageChecksum.ofState(crc);
    state = shift.append(state, crc);
    pageChecksums ^= checksum;
    lastPgno = pgno;
    sink.putInt((int) pgno);
    sink.put(page);
    return checksum;
  }

  /**
   * Writes terminator and trailer and flushes all to the channel. The encoder cannot be used after.
   *
   * @param postApply checksum of the database after the transaction
   * @throws IllegalStateException if this is a snapshot and pages are missing
   * @throws IllegalArgumentException if it is not that of the pages of a snapshot, or is no
   *     checksum of a database
   * @throws IOException what the channel threw
   */
  public LtxTrailer finish(Checksum postApply) throws IOException {
    checkOpen();
    checkPostApply(postApply);
    sink.putInt(0);
    sink.end();
    state = Crc64.updateInt(state, 0);
    state = Crc64.updateLong(state, postApply.value());
    LtxTrailer trailer =
        new LtxTrailer(postApply, new Checksum(Checksum.FLAG | Crc64.value(state)));
    trailer.encode(out.room(LtxTrailer.SIZE));
    out.flush();
    LtxBuffers.give(buffers);
    buffers = null;
    sink = null;
    return trailer;
  }

  /** Size of the file so far, in bytes; complete after {@link #finish}. */
  public long bytesWritten() {
    return out.count();
  }

  private void checkOpen() {
    if (buffers == null) {
      throw new IllegalStateException("the LTX file is finished");
    }
  }

  private void checkPgno(long pgno) {
    if (pgno <= lastPgno || pgno > header.commit() || pgno == lockPage) {
      throw new IllegalArgumentException(
          "page " + pgno + " after page " + lastPgno + ", commit " + header.commit()
              + ", lock page " + lockPage);
    }
    if (header.isSnapshot() && pgno != PageOrder.following(lastPgno, lockPage)) {
      throw new IllegalArgumentException(
          "page " + pgno + " after page " + lastPgno + " leaves a gap in a snapshot");
    }
  }

  private void checkPostApply(Checksum postApply) {
    long expected = Checksum.FLAG | pageChecksums;
    if (header.isSnapshot()) {
      if (PageOrder.following(lastPgno, lockPage) <= header.commit()) {
        throw new IllegalStateException(
            "the snapshot ends with page " + lastPgno + " of " + header.commit());
      }
      if (postApply.value() != expected) {
        throw new IllegalArgumentException(
            "post-apply checksum " + postApply + ", but the pages of the snapshot have "
                + Hex.format(expected));
      }
    } else if (postApply.value() >= 0) {
      throw new IllegalArgumentException("post-apply checksum " + postApply + " has bit 63 clear");
    } else if (header.commit() == 0 && !postApply.equals(Checksum.EMPTY_DATABASE)) {
      throw new IllegalArgumentException(
          "post-apply checksum " + postApply + " for a dropped database");
    }
  }
}

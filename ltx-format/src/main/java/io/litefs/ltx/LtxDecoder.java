package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;

/**
 * Reads an LTX file of version 1 and checks all of it: see {@link LtxEncoder} for the format.
 *
 * <p>What is wrong with the file is told by an {@link LtxException} that names the file, the field
 * and the offset; no other exception leaves the decoder but those of the channel. Pages are given
 * out before the checksums at the end of the file are known, so nothing may be made of them that
 * cannot be undone until {@link #next} has returned 0.
 *
 * <p>The decoder owns the channel, which must be in blocking mode, and closes it. Not for use by
 * several threads at once.
 */
public final class LtxDecoder implements AutoCloseable {

  private final ReadableByteChannel channel;
  private final LtxInput in;
  private final LtxHeader header;
  private final long lockPage;
  private final PageShift shift;
  private final PageSource source;

  private LtxBuffers buffers;
  private long state = Crc64.INITIAL;
  private long lastPgno;
  private long pageChecksum;
  private long pageChecksums;
  private LtxTrailer trailer;

  /**
   * Reads the header. If that fails, the channel is closed.
   *
   * @param in at the first byte of the file; must come to its end where the file ends
   * @param file name for messages
   * @throws LtxException if there is no valid header
   * @throws IOException what the channel threw
   */
  public LtxDecoder(ReadableByteChannel in, String file) throws IOException {
    this.channel = in;
    this.buffers = LtxBuffers.take();
    this.in = new LtxInput(in, buffers.channel, file);
    boolean done = false;
    try {
      ByteBuffer bytes = this.in.need(LtxHeader.SIZE, "header");
      int start = bytes.position();
      this.header = LtxHeader.decode(bytes, file);
      for (int i = 0; i < LtxHeader.SIZE; i += Integer.BYTES) {
        state = Crc64.updateInt(state, bytes.getInt(start + i));
      }
      this.lockPage = header.lockPage();
      this.shift = PageShift.of(header.pageSize());
      this.source =
          header.compressed()
              ? new Lz4FrameSource(this.in, buffers)
              : new PlainSource(this.in);
      done = true;
    } finally {
      if (!done) {
        close();
      }
    }
  }

  /** The header. */
  public LtxHeader header() {
    return header;
  }

  /**
   * Reads the next page. After the last it checks terminator, trailer, file checksum, for a
   * snapshot that it is complete and has the post-apply checksum, and that nothing follows.
   *
   * @param page has room for a page; cleared, filled and flipped. Unchanged at the end
   * @return the page's number, or 0 at the end
   * @throws LtxException if the file is not valid
   * @throws IOException what the channel threw
   */
  public long next(ByteBuffer page) throws IOException {
    if (trailer != null) {
      return 0;
    }
    if (buffers == null) {
      throw new IllegalStateException("the decoder is closed");
    }
    long offset = source.offset();
    long pgno = Integer.toUnsignedLong(source.getInt("page number"));
    if (pgno == 0) {
      readTrailer(offset);
      return 0;
    }
    checkPgno(pgno, offset);
    page.clear().limit(header.pageSize());
    source.read(page, "page " + pgno);
    page.flip();
    long crc = PageChecksum.state(pgno, page);
    pageChecksum = PageChecksum.ofState(crc);
    pageChecksums ^= pageChecksum;
    state = shift.append(state, crc);
    lastPgno = pgno;
    return pgno;
  }

  /** Checksum of the page that {@link #next} gave last, {@link PageChecksum#of}; it is free. */
  public long pageChecksum() {
    return pageChecksum;
  }

  /**
   * The trailer.
   *
   * @throws IllegalStateException before {@link #next} has returned 0
   */
  public LtxTrailer trailer() {
    if (trailer == null) {
      throw new IllegalStateException("the LTX file has not been read to its end");
    }
    return trailer;
  }

  /** Closes the channel. */
  @Override
  public void close() throws IOException {
    if (buffers != null) {
      LtxBuffers.give(buffers);
      buffers = null;
    }
    channel.close();
  }

  private void checkPgno(long pgno, long offset) throws LtxException {
    if (pgno <= lastPgno) {
      throw problem("page number", offset, pgno + " after " + lastPgno + "; they must ascend");
    }
    if (pgno > header.commit()) {
      throw problem("page number", offset, pgno + " is above commit, " + header.commit());
    }
    if (pgno == lockPage) {
      throw problem("page number", offset, pgno + " is the lock page");
    }
    if (header.isSnapshot() && pgno != PageOrder.following(lastPgno, lockPage)) {
      throw problem(
          "page number", offset, pgno + " after " + lastPgno + " leaves a gap in a snapshot");
    }
  }

  private void readTrailer(long terminator) throws IOException {
    if (header.isSnapshot() && PageOrder.following(lastPgno, lockPage) <= header.commit()) {
      throw problem(
          "terminator",
          terminator,
          "the snapshot ends with page " + lastPgno + " of " + header.commit());
    }
    source.end();
    long start = in.offset();
    LtxTrailer read = LtxTrailer.decode(in.need(LtxTrailer.SIZE, "trailer"));
    checkPostApply(read.postApply(), start);
    state = Crc64.updateInt(state, 0);
    state = Crc64.updateLong(state, read.postApply().value());
    long expected = Checksum.FLAG | Crc64.value(state);
    if (read.file().value() != expected) {
      throw problem(
          "file checksum", start + 8, read.file() + ", but the file has " + Hex.format(expected));
    }
    if (!in.atEnd()) {
      throw problem("trailer", in.offset(), "bytes follow it");
    }
    trailer = read;
  }

  private void checkPostApply(Checksum postApply, long offset) throws LtxException {
    long expected = Checksum.FLAG | pageChecksums;
    if (postApply.value() >= 0) {
      throw problem("post-apply checksum", offset, postApply + " has bit 63 clear");
    }
    if ((header.isSnapshot() || header.commit() == 0) && postApply.value() != expected) {
      throw problem(
          "post-apply checksum", offset, postApply + ", but the pages have " + Hex.format(expected));
    }
  }

  private LtxException problem(String field, long offset, String what) {
    return new LtxException(in.file(), field, offset, what);
  }
}

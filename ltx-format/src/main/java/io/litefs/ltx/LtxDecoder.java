package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;

/**
 * Reads an LTX file of version 1 and checks all of it: see {@link LtxEncoder} for the format.
 *
 * <p>What is wrong with the file is told by an {@link LtxException} that names the file, the field
 * and the offset; no other exception leaves the decoder but those of the channel.
 *
 * <p>The decoder owns the channel, which must be in blocking mode, and closes it. It is for one
 * thread; another may close it to end a read that blocks.
 */
public final class LtxDecoder implements LtxReader {

  private final LtxInput in;
  private final LtxHeader header;
  private final FileChecksum checksum;
  private final PageRun pages;
  private final PageSource source;

  private long pageChecksum;
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
    this.in = new LtxInput(in, file);
    boolean done = false;
    LtxBuffers buffers = this.in.begin();
    try {
      ByteBuffer bytes = this.in.need(LtxHeader.SIZE, "header");
      int start = bytes.position();
      this.header = LtxHeader.decode(bytes, file);
      this.checksum = new FileChecksum(header.pageSize());
      this.pages = new PageRun(header);
      checksum.header(bytes, start);
      this.source =
          header.compressed()
              ? new Lz4FrameSource(this.in, buffers, LtxHeader.SIZE)
              : new PlainSource(this.in);
      done = true;
    } finally {
      this.in.end();
      if (!done) {
        this.in.close();
      }
    }
  }

  @Override
  public LtxHeader header() {
    return header;
  }

  @Override
  public String file() {
    return in.file();
  }

  @Override
  public long next(ByteBuffer page) throws IOException {
    if (trailer != null) {
      return 0;
    }
    Arguments.checkRoom(header.pageSize(), page);
    in.begin();
    try {
      return read(page);
    } finally {
      in.end();
    }
  }

  private long read(ByteBuffer page) throws IOException {
    long offset = source.offset();
    long pgno = Integer.toUnsignedLong(source.getInt("page number"));
    if (pgno == 0) {
      readTrailer(offset);
      return 0;
    }
    in.refuse("page number", offset, pages.refusal(pgno));
    page.clear().limit(header.pageSize());
    source.read(page, "page");
    page.flip();
    checksum.putInt((int) pgno);
    pageChecksum = checksum.page(pgno, page);
    pages.add(pgno, pageChecksum);
    return pgno;
  }

  private void readTrailer(long terminator) throws IOException {
    in.refuse("terminator", terminator, pages.incomplete());
    source.end("terminator");
    checksum.putInt(0);
    trailer = in.trailer(pages, checksum);
  }

  @Override
  public long pageChecksum() {
    return pageChecksum;
  }

  @Override
  public LtxTrailer trailer() {
    Arguments.checkRead(trailer);
    return trailer;
  }

  @Override
  public long bytesRead() {
    return in.offset();
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}

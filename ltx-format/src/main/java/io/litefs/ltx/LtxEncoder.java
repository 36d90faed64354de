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
public final class LtxEncoder implements LtxWriter {

  private final LtxHeader header;
  private final LtxOutput out;
  private final FileChecksum checksum;
  private final PageRun pages;

  private LtxBuffers buffers;
  private PageSink sink;

  /**
   * Starts a file. Nothing reaches the channel before there are 64 KiB, or {@link #finish}.
   *
   * @param header decides whether the page block is compressed
   */
  public LtxEncoder(WritableByteChannel out, LtxHeader header) {
    this.header = header;
    this.pages = new PageRun(header);
    this.checksum = new FileChecksum(header.pageSize());
    this.buffers = LtxBuffers.take();
    this.out = new LtxOutput(out, buffers.channel);
    header.encode(buffers.channel);
    checksum.header(buffers.channel, 0);
    this.sink = header.compressed() ? new Lz4FrameSink(this.out, buffers) : new PlainSink(this.out);
  }

  @Override
  public long page(long pgno, ByteBuffer page) throws IOException {
    Arguments.checkPage(buffers, pages, header.pageSize(), pgno, page);
    checksum.putInt((int) pgno);
    long pageChecksum = checksum.page(pgno, page);
    pages.add(pgno, pageChecksum);
    sink.putInt((int) pgno);
    sink.put(page);
    return pageChecksum;
  }

  @Override
  public LtxTrailer finish(Checksum postApply) throws IOException {
    Arguments.checkFinish(buffers, pages, postApply);
    sink.putInt(0);
    sink.end();
    checksum.putInt(0);
    checksum.putLong(postApply.value());
    LtxTrailer trailer = new LtxTrailer(postApply, checksum.value());
    trailer.encode(out.room(LtxTrailer.SIZE));
    out.finish();
    LtxBuffers.give(buffers);
    buffers = null;
    sink = null;
    return trailer;
  }

  @Override
  public long bytesWritten() {
    return out.count();
  }
}

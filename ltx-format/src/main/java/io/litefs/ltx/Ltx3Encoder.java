package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/**
 * Writes an LTX file of version 3, which Litestream and the {@code ltx} tool read.
 *
 * <pre>
 *   +------------------------------------+
 *   | header, 100 bytes                  |  see Ltx3Header
 *   +------------------------------------+ --
 *   | page number, u32                   |   |
 *   | flags, u16: 1, a size follows      |   |  a frame for each page; page numbers ascend, none
 *   | size, u32                          |   |  is above the header's commit, none is the lock
 *   | the page as one LZ4 block          |   |  page
 *   +------------------------------------+   |
 *   | ...                                |   |
 *   +------------------------------------+ --
 *   | 00000000 0000                      |
 *   +------------------------------------+ --
 *   | page number, varint                |   |
 *   | offset of the frame, varint        |   |  the page index: an entry for each frame in the
 *   | size of the frame, varint          |   |  same order; offsets count from the start of the
 *   +------------------------------------+   |  file
 *   | ...                                |   |
 *   +------------------------------------+   |
 *   | 00, varint                         |   |
 *   +------------------------------------+ --
 *   | bytes of the page index, u64       |
 *   +------------------------------------+
 *   | trailer, 16 bytes                  |  see LtxTrailer
 *   +------------------------------------+
 * </pre>
 *
 * <p>Numbers are big-endian, varints are unsigned LEB128. A frame with flags 0 has no size and its
 * page is an LZ4 frame; such are read but not written. The file checksum is {@code 2^63 | CRC64} of
 * header, each frame with its page decompressed, the six zero bytes, the index with its size, and
 * post-apply checksum.
 *
 * <p>Nothing in the bytes tells version 3 from version 1: whoever opens a file has to know.
 *
 * <p>Memory grows by about three bytes for each page. Otherwise as {@link LtxEncoder}.
 */
public final class Ltx3Encoder implements LtxWriter {

  /** Flag of a page frame: the size of its LZ4 block follows. */
  static final int FLAG_SIZE = 1;

  private final int pageSize;
  private final LtxOutput out;
  private final FileChecksum checksum;
  private final PageRun pages;
  private final FrameIndex index = new FrameIndex();

  private LtxBuffers buffers;

  /** Starts a file. Nothing reaches the channel before there are 64 KiB, or {@link #finish}. */
  public Ltx3Encoder(WritableByteChannel out, Ltx3Header header) {
    this.pageSize = header.pageSize();
    this.pages = new PageRun(header);
    this.checksum = new FileChecksum(pageSize);
    this.buffers = LtxBuffers.take();
    this.out = new LtxOutput(out, buffers.channel);
    header.encode(buffers.channel);
    checksum.header(buffers.channel, 0);
  }

  @Override
  public long page(long pgno, ByteBuffer page) throws IOException {
    Arguments.checkPage(buffers, pages, pageSize, pgno, page);
    byte[] plain = buffers.plain();
    byte[] packed = buffers.packed();
    page.get(page.position(), plain, 0, pageSize);
    int size = Lz4.COMPRESSOR.compress(plain, 0, pageSize, packed, 0, packed.length);

    long start = out.count();
    out.putInt((int) pgno);
    out.putShort(FLAG_SIZE);
    out.putInt(size);
    out.put(packed, 0, size);
    index.add(pgno, out.count() - start);

    checksum.putInt((int) pgno);
    checksum.putShort(FLAG_SIZE);
    checksum.putInt(size);
    long pageChecksum = checksum.page(pgno, page);
    pages.add(pgno, pageChecksum);
    page.position(page.limit());
    return pageChecksum;
  }

  @Override
  public LtxTrailer finish(Checksum postApply) throws IOException {
    Arguments.checkFinish(buffers, pages, postApply);
    out.putInt(0);
    out.putShort(0);
    checksum.putInt(0);
    checksum.putShort(0);
    writeIndex();
    checksum.putLong(postApply.value());
    LtxTrailer trailer = new LtxTrailer(postApply, checksum.value());
    trailer.encode(out.room(LtxTrailer.SIZE));
    out.finish();
    LtxBuffers.give(buffers);
    buffers = null;
    return trailer;
  }

  @Override
  public long bytesWritten() {
    return out.count();
  }

  private void writeIndex() throws IOException {
    long start = out.count();
    byte[] entry = new byte[3 * Varint.MAX_BYTES];
    FrameIndex.Cursor frame = index.cursor();
    while (frame.next()) {
      int length = Varint.put(entry, 0, frame.pgno());
      length = Varint.put(entry, length, frame.offset());
      length = Varint.put(entry, length, frame.size());
      out.put(entry, 0, length);
      checksum.put(entry, 0, length);
    }
    out.put(new byte[1], 0, 1);
    checksum.putByte(0);
    long size = out.count() - start;
    out.room(Long.BYTES).putLong(size);
    checksum.putLong(size);
  }
}

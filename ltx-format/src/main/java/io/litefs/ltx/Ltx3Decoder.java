package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import net.jpountz.lz4.LZ4Exception;

/**
 * Reads an LTX file of version 3 and checks all of it, the page index included: see {@link
 * Ltx3Encoder} for the format.
 *
 * <p>Memory grows by about three bytes for each page that has been read. Otherwise as {@link
 * LtxDecoder}.
 */
public final class Ltx3Decoder implements LtxReader {

  private final LtxInput in;
  private final Ltx3Header header;
  private final FileChecksum checksum;
  private final PageRun pages;
  private final FrameIndex frames = new FrameIndex();

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
  public Ltx3Decoder(ReadableByteChannel in, String file) throws IOException {
    this.in = new LtxInput(in, file);
    boolean done = false;
    this.in.begin();
    try {
      ByteBuffer bytes = this.in.need(LtxHeader.SIZE, "header");
      int start = bytes.position();
      this.header = Ltx3Header.decode(bytes, file);
      this.checksum = new FileChecksum(header.pageSize());
      this.pages = new PageRun(header);
      checksum.header(bytes, start);
      done = true;
    } finally {
      this.in.end();
      if (!done) {
        this.in.close();
      }
    }
  }

  @Override
  public Ltx3Header header() {
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
    LtxBuffers buffers = in.begin();
    try {
      return read(page, buffers);
    } finally {
      in.end();
    }
  }

  private long read(ByteBuffer page, LtxBuffers buffers) throws IOException {
    long start = in.offset();
    long pgno = Integer.toUnsignedLong(in.need(Integer.BYTES, "page number").getInt());
    int flags = in.need(Short.BYTES, "page flags").getShort() & 0xFFFF;
    if (pgno == 0) {
      in.refuse("page flags", start + 4, flags == 0 ? null : "not 0 after page number 0");
      in.refuse("terminator", start, pages.incomplete());
      readIndex();
      trailer = in.trailer(pages, checksum);
      return 0;
    }
    in.refuse("page number", start, pages.refusal(pgno));
    if ((flags & ~Ltx3Encoder.FLAG_SIZE) != 0) {
      in.refuse("page flags", start + 4, flags + " has flags that are not known");
    }
    checksum.putInt((int) pgno);
    checksum.putShort(flags);
    page.clear().limit(header.pageSize());
    if (flags == Ltx3Encoder.FLAG_SIZE) {
      readBlock(page, buffers);
    } else {
      PageSource source = new Lz4FrameSource(in, buffers, in.offset());
      source.read(page, "page");
      source.end("page");
    }
    page.flip();
    pageChecksum = checksum.page(pgno, page);
    pages.add(pgno, pageChecksum);
    frames.add(pgno, in.offset() - start);
    return pgno;
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

  private void readBlock(ByteBuffer page, LtxBuffers buffers) throws IOException {
    int pageSize = header.pageSize();
    long start = in.offset();
    int size = in.need(Integer.BYTES, "size of the LZ4 block").getInt();
    int most = Lz4.COMPRESSOR.maxCompressedLength(pageSize);
    if (size <= 0 || size > most) {
      in.refuse(
          "size of the LZ4 block",
          start,
          Integer.toUnsignedString(size) + " is not 1 to " + most + ", which a page can take");
    }
    checksum.putInt(size);
    byte[] packed = buffers.packed();
    byte[] plain = buffers.plain();
    in.read(packed, 0, size, "LZ4 block");
    int length;
    try {
      length = Lz4.DECOMPRESSOR.decompress(packed, 0, size, plain, 0, pageSize);
    } catch (LZ4Exception | IndexOutOfBoundsException e) {
      throw new LtxException(file(), "LZ4 block", start + 4, "cannot be decompressed", e);
    }
    if (length != pageSize) {
      in.refuse("LZ4 block", start + 4, "holds " + length + " bytes, a page has " + pageSize);
    }
    page.put(plain, 0, length);
  }

  private void readIndex() throws IOException {
    checksum.putInt(0);
    checksum.putShort(0);
    long start = in.offset();
    FrameIndex.Cursor frame = frames.cursor();
    while (frame.next()) {
      expectVarint("page number in the index", frame.pgno());
      expectVarint("offset in the index", frame.offset());
      expectVarint("size in the index", frame.size());
    }
    expectVarint("end of the index", 0);
    long end = in.offset();
    long size = in.need(Long.BYTES, "size of the index").getLong();
    if (size != end - start) {
      in.refuse(
          "size of the index", end, Long.toUnsignedString(size) + " instead of " + (end - start));
    }
    checksum.putLong(size);
  }

  private void expectVarint(String field, long expected) throws IOException {
    long start = in.offset();
    long value = 0;
    byte b;
    int shift = 0;
    do {
      b = in.need(1, field).get();
      checksum.putByte(b);
      if (shift > 63 || shift == 63 && (b & 0x7E) != 0) {
        in.refuse(field, start, "has more than 64 bits");
      }
      value |= (long) (b & 0x7F) << shift;
      shift += 7;
    } while (b < 0);
    if (value != expected) {
      in.refuse(field, start, Long.toUnsignedString(value) + " instead of " + expected);
    }
  }
}

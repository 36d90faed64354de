package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Writes one LZ4 frame of independent blocks of 64 KiB.
 *
 * <pre>
 *   magic 184D2204 | FLG 60 | BD 40 | HC 82      header, little-endian
 *   size | block                                 for each block; bit 31 of the size: not compressed
 *   00000000                                     end mark
 * </pre>
 *
 * There is no content checksum: the checksum of the LTX file covers the content.
 */
final class Lz4FrameSink implements PageSink {

  private static final int FLG = Lz4.VERSION | Lz4.INDEPENDENT;

  /** Second byte of the xxHash-32 of FLG and BD. */
  private static final byte HC = (byte) 0x82;

  private final LtxOutput out;
  private final byte[] plain;
  private final byte[] packed;
  private final ByteBuffer block;

  /** Writes the frame's header into the channel's buffer, which must have room for 7 bytes. */
  Lz4FrameSink(LtxOutput out, LtxBuffers buffers) {
    this.out = out;
    this.plain = buffers.plain();
    this.packed = buffers.packed();
    this.block = ByteBuffer.wrap(plain, 0, LtxBuffers.SIZE);
    buffers.channel.putInt(Integer.reverseBytes(Lz4.MAGIC));
    buffers.channel.put((byte) FLG).put((byte) Lz4.BLOCK_64_KIB).put(HC);
  }

  @Override
  public void putInt(int value) throws IOException {
    if (block.remaining() < 4) {
      // A block need not be full, so that no number has to be cut in two.
      writeBlock();
    }
    block.putInt(value);
  }

  @Override
  public void put(ByteBuffer page) throws IOException {
    int from = page.position();
    int end = page.limit();
    while (from < end) {
      if (!block.hasRemaining()) {
        writeBlock();
      }
      int n = Math.min(end - from, block.remaining());
      block.put(block.position(), page, from, n);
      block.position(block.position() + n);
      from += n;
    }
    page.position(end);
  }

  @Override
  public void end() throws IOException {
    writeBlock();
    out.putInt(0);
  }

  private void writeBlock() throws IOException {
    int length = block.position();
    int size = Lz4.COMPRESSOR.compress(plain, 0, length, packed, 0, packed.length);
    if (size < length) {
      out.putInt(Integer.reverseBytes(size));
      out.put(packed, 0, size);
    } else {
      out.putInt(Integer.reverseBytes(length | Lz4.NOT_COMPRESSED));
      out.put(plain, 0, length);
    }
    block.clear();
  }
}

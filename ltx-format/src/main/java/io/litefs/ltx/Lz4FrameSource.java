package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import net.jpountz.lz4.LZ4Exception;
import net.jpountz.xxhash.StreamingXXHash32;
import net.jpountz.xxhash.XXHashFactory;

/**
 * Reads one LZ4 frame: any that the format allows, except those that need a dictionary from
 * elsewhere.
 *
 * <p>Memory is never taken on the word of a length in the file. The compressed block is read in
 * steps that double, so it takes at most twice what has really been read, and the room for its
 * content is at most 255 times that, which is the most that LZ4 can do, and at most the 4 MiB that
 * the format allows.
 */
final class Lz4FrameSource implements PageSource {

  private static final String FIELD = "LZ4 frame";

  /** Block sizes by the three bits of BD; 0 where the format has none. */
  private static final int[] BLOCK_SIZES = {0, 0, 0, 0, 1 << 16, 1 << 18, 1 << 20, 1 << 22};

  private final LtxInput in;
  private final long start;
  private final long contentStart;
  private final int flags;
  private final int maxBlock;
  private final long contentSize;

  /** Null if there is no checksum of the content. */
  private final StreamingXXHash32 contentHash;

  /** Null if the blocks are independent. */
  private final Lz4History history;

  private byte[] packed;
  private byte[] plain;
  private int position;
  private int limit;

  /** Content delivered by the blocks before this one. */
  private long delivered;

  private boolean ended;

  /**
   * Reads the frame's header.
   *
   * @param contentStart where the content would start if the file were not compressed
   */
  Lz4FrameSource(LtxInput in, LtxBuffers buffers, long contentStart) throws IOException {
    this.in = in;
    this.contentStart = contentStart;
    this.start = in.offset();
    this.packed = buffers.packed();
    this.plain = buffers.plain();

    if (intLittleEndian() != Lz4.MAGIC) {
      throw problem(start, "does not start with the magic number of LZ4");
    }
    byte[] descriptor = new byte[10];
    in.read(descriptor, 0, 2, FIELD);
    this.flags = descriptor[0];
    int blockCode = descriptor[1];
    if ((flags & Lz4.VERSION_MASK) != Lz4.VERSION
        || (flags & Lz4.RESERVED_FLAG) != 0
        || (blockCode & 0x8F) != 0
        || BLOCK_SIZES[blockCode >> 4] == 0) {
      throw problem(
          start + 4, String.format("unknown flags %02x %02x", flags & 0xFF, blockCode & 0xFF));
    }
    if ((flags & Lz4.DICTIONARY_ID) != 0) {
      throw problem(start + 4, "needs a dictionary, which LTX does not have");
    }
    this.maxBlock = BLOCK_SIZES[blockCode >> 4];
    int length = 2;
    if ((flags & Lz4.CONTENT_SIZE) != 0) {
      in.read(descriptor, 2, 8, FIELD);
      length = 10;
      this.contentSize = Long.reverseBytes(ByteBuffer.wrap(descriptor).getLong(2));
      if (contentSize < 0) {
        throw problem(start + 6, "content size is out of range");
      }
    } else {
      this.contentSize = -1;
    }
    byte check = in.need(1, FIELD).get();
    if (check != (byte) (Lz4.HASH.hash(descriptor, 0, length, 0) >>> 8)) {
      throw problem(start + 4, "checksum of the frame's header does not match");
    }
    this.contentHash =
        (flags & Lz4.CONTENT_CHECKSUM) != 0
            ? XXHashFactory.safeInstance().newStreamingHash32(0)
            : null;
    this.history = (flags & Lz4.INDEPENDENT) == 0 ? new Lz4History() : null;
  }

  @Override
  public long offset() {
    return contentStart + delivered + position;
  }

  @Override
  public int getInt(String field) throws IOException {
    if (limit - position >= Integer.BYTES) {
      int p = position;
      position += Integer.BYTES;
      return (plain[p] & 0xFF) << 24
          | (plain[p + 1] & 0xFF) << 16
          | (plain[p + 2] & 0xFF) << 8
          | plain[p + 3] & 0xFF;
    }
    ByteBuffer number = ByteBuffer.allocate(Integer.BYTES);
    read(number, field);
    return number.getInt(0);
  }

  @Override
  public void read(ByteBuffer page, String field) throws IOException {
    long offset = offset();
    int wanted = page.remaining();
    while (page.hasRemaining()) {
      if (position == limit && !nextBlock()) {
        throw new LtxException(
            in.file(), field, offset, "the LZ4 frame ends inside these " + wanted + " bytes");
      }
      int n = Math.min(page.remaining(), limit - position);
      page.put(plain, position, n);
      position += n;
    }
  }

  @Override
  public void end(String field) throws IOException {
    do {
      if (position != limit) {
        throw new LtxException(in.file(), field, offset(), "bytes follow it in the LZ4 frame");
      }
    } while (nextBlock());
  }

  /** Reads a block, which may be empty; false after the end mark and what belongs to it. */
  private boolean nextBlock() throws IOException {
    if (ended) {
      return false;
    }
    delivered += limit;
    position = 0;
    limit = 0;
    long offset = in.offset();
    int word = intLittleEndian();
    if (word == 0) {
      end(offset);
      return false;
    }
    int length = word & ~Lz4.NOT_COMPRESSED;
    if (length > maxBlock) {
      throw problem(offset, "a block of " + length + " bytes, where " + maxBlock + " are allowed");
    }
    readPacked(length);
    if ((flags & Lz4.BLOCK_CHECKSUM) != 0
        && intLittleEndian() != Lz4.HASH.hash(packed, 0, length, 0)) {
      throw problem(offset, "checksum of the block does not match");
    }
    if ((word & Lz4.NOT_COMPRESSED) != 0) {
      plain = room(plain, length, 0);
      System.arraycopy(packed, 0, plain, 0, length);
      limit = length;
    } else {
      unpack(length, offset);
    }
    if (contentHash != null) {
      contentHash.update(plain, 0, limit);
    }
    if (history != null) {
      history.append(plain, limit);
    }
    return true;
  }

  private void unpack(int length, long offset) throws IOException {
    int most = (int) Math.min(maxBlock, 255L * length);
    plain = room(plain, most, 0);
    try {
      limit =
          history == null
              ? Lz4.DECOMPRESSOR.decompress(packed, 0, length, plain, 0, most)
              : history.decompress(packed, length, plain, most);
    } catch (LZ4Exception | IndexOutOfBoundsException e) {
      throw new LtxException(in.file(), FIELD, offset, "a block cannot be decompressed", e);
    }
  }

  private void end(long offset) throws IOException {
    ended = true;
    if (contentHash != null && intLittleEndian() != contentHash.getValue()) {
      throw problem(offset + 4, "checksum of the content does not match");
    }
    if (contentSize >= 0 && contentSize != delivered) {
      throw problem(
          start + 6, "says that it holds " + contentSize + " bytes, but has " + delivered);
    }
  }

  private void readPacked(int length) throws IOException {
    int have = 0;
    while (have < length) {
      int next = (int) Math.min(length, Math.max(LtxBuffers.SIZE, 2L * have));
      packed = room(packed, next, have);
      in.read(packed, have, next - have, FIELD);
      have = next;
    }
  }

  /** The array if it is long enough, or a longer one with the same first bytes. */
  private static byte[] room(byte[] array, int length, int keep) {
    if (array.length >= length) {
      return array;
    }
    return keep == 0 ? new byte[length] : Arrays.copyOf(array, length);
  }

  private int intLittleEndian() throws IOException {
    return Integer.reverseBytes(in.need(Integer.BYTES, FIELD).getInt());
  }

  private LtxException problem(long offset, String what) {
    return new LtxException(in.file(), FIELD, offset, what);
  }
}
